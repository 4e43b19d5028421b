"""Nested loops over several tensors at once: as few and as long as their steps allow.

Nothing here allocates after construction. The innermost loop belongs to the caller, so that it can
be a function of its own, and a native one where there is one. With it comes what else int32 tensors
and shapes need, and the operators that give the same items another shape.
"""

from array import array

from .. import schema
from ..views import as_bytes, as_int8

# What loaded models go on using of this module: see forget_loader().
RUN = "next"

# Integers of the board are small below this.
SMALL = 1 << 30

# An int32 tensor the model computes is a shape or an index, known when the model is loaded.
_MOST_INT32S = 64


class Walk:
    """Positions of operands in a nest of loops.

    sizes: of the loops, the outermost first. steps: for each operand, its step in each loop.
    size, step: of the innermost loop, after neighbouring loops were fused; `step` by operand.
    at: each operand's position, relative to its start. After the last turn it is 0 again.
    """

    def __init__(self, sizes, *steps):
        loops: list = []
        for size, *by in zip(sizes, *steps):
            if loops and size != 1 and loops[-1][1] == [size * step for step in by]:
                loops[-1] = [loops[-1][0] * size, by]
            elif size != 1:
                loops.append([size, by])
        innermost: tuple = loops.pop() if loops else (1, [0] * len(steps))
        self.size, self.step = innermost
        self.at = array("i", [0] * len(steps))
        self._sizes = array("i", [size for size, _ in loops])
        self._steps = [array("i", [by[k] for _, by in loops]) for k in range(len(steps))]
        self._count = array("i", [0] * len(loops))

    def next(self) -> bool:
        """Moves on to the next innermost loop; false, and back at the start, after the last."""
        at = self.at
        count = self._count
        loop = len(count) - 1
        while loop >= 0:
            more = count[loop] + 1 < self._sizes[loop]
            by = 1 if more else 1 - self._sizes[loop]
            count[loop] += by
            k = 0
            for steps in self._steps:
                at[k] += by * steps[loop]
                k += 1
            if more:
                return True
            loop -= 1
        return False


def strides(shape):
    """Step of each dimension of a dense tensor, in items."""
    result: list = []
    step = 1
    for size in reversed(shape):
        result.insert(0, step)
        step *= size
    return result


def product(shape):
    result = 1
    for size in shape:
        result *= size
    return result


def values(context, op, tensor):
    """The items of an int8 tensor, activation or constant, or of an int32 one known at load."""
    if tensor.type == schema.INT32:
        return known(context, op, tensor)
    _must_be_int8(op, tensor)
    if tensor.begin:
        return as_int8(context.view, tensor.begin, tensor.size)
    return tensor.view


def _must_be_int8(op, tensor):
    if tensor.type != schema.INT8:
        op.refuse(
            "tensor %d is %s; int8 is supported: quantise the model to full int8"
            % (tensor.index, tensor.type_name)
        )


def known(context, op, tensor):
    """The items of an int32 tensor that is a constant, or computed from shapes and constants."""
    if not tensor or tensor.type != schema.INT32 or tensor.size > _MOST_INT32S:
        op.refuse("its indices must be a constant of at most 64 int32")
    if tensor.begin:
        return [context.reader.i32(tensor.begin + 4 * i) for i in range(tensor.size)]
    if tensor.view is None:
        op.refuse("tensor %d must be a constant" % tensor.index)
    return tensor.view


def target(op, tensor):
    """Where to write an output: its view, or new memory where it is int32 and known at load."""
    if tensor.type == schema.INT32:
        if tensor.size > _MOST_INT32S:
            op.refuse("int32 tensor %d has %d items" % (tensor.index, tensor.size))
        tensor.view = array("i", bytes(4 * tensor.size))
    else:
        _must_be_int8(op, tensor)
    return tensor.view


def axis_of(op, axis, dimensions):
    """A checked axis, counted from the front."""
    if not -dimensions <= axis < dimensions:
        op.refuse("axis %d of %d dimensions" % (axis, dimensions))
    return axis + dimensions if axis < 0 else axis


def prepare(context, op):
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the output lies where the input lies, and nothing runs, or is
    a copy: planner.py.

    The shape is the output tensor's own, as in C: what the other input, the options or a computed
    shape say is not needed. SHAPE is known when the model is loaded.
    """
    shape = op.code == schema.SHAPE
    if shape:
        op.exactly(1)
    else:
        op.shaped(1, 2)
        op.same_size()
    x, y = op.inputs[0], op.outputs[0]
    if shape:
        if y.type != schema.INT32 or y.shape != (len(x.shape),):
            op.refuse("output is %s of shape %s" % (y.type_name, y.shape))
        sizes = target(op, y)
        for i, size in enumerate(x.shape):
            sizes[i] = size
    elif x.type != y.type:
        op.refuse("input is %s, output %s" % (x.type_name, y.type_name))
    elif y.type == schema.INT32:
        y.view = known(context, op, x)
    elif x.view is not y.view:
        from .copies import Copies

        walk = Walk([x.bytes], [1], [1])
        return Copies([(walk, as_bytes(x.view), 0, as_bytes(y.view), 0)])
    return None
