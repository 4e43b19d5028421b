"""Operators that only move items: slices, PACK and UNPACK, CONCATENATION and SPLIT, PAD, TRANSPOSE.

C: the files of these names in tensorflow/lite/micro/kernels and
tensorflow/lite/kernels/internal/reference. Each is one or more copies between two strided blocks
of int8. On int32 tensors, which are shapes and indices, the same copies run once, at load. float32
activations, which the converter leaves around a SPLIT of which a part is not used, are copied as
their four bytes.
"""

from .. import schema
from ..views import as_bytes
from .walk import Walk, axis_of, known, product, strides, target, values

# table StridedSliceOptions
_BEGIN_MASK = 0
_END_MASK = 1
_ELLIPSIS_MASK = 2
_NEW_AXIS_MASK = 3
_SHRINK_AXIS_MASK = 4
_OFFSET = 5

# table ConcatenationOptions
_CONCATENATION_AXIS = 0
_CONCATENATION_ACTIVATION = 1

# tables PackOptions and UnpackOptions
_PACK_COUNT = 0
_PACK_AXIS = 1

# TFLite-Micro's own limits
_MOST_SLICE_DIMENSIONS = 4
_MOST_PAD_DIMENSIONS = 5
_MOST_TRANSPOSE_DIMENSIONS = 5


def prepare(context, op):
    floats = op.outputs[0].type == schema.FLOAT32 if op.outputs else False
    copies: list = []
    for x, x_start, x_steps, y, y_start, y_steps, sizes in _PREPARE[op.name](context, op):
        if floats:
            source, aim = _float_bytes(op, x), _float_bytes(op, y)
            x_start, y_start = 4 * x_start, 4 * y_start
            x_steps, y_steps = [[4 * step for step in by] + [1] for by in (x_steps, y_steps)]
            sizes = list(sizes) + [4]
        else:
            aim = target(op, y) if y.data is None else y.data
            if x_start is None:
                copies.append((None, x, None, aim, 0))
                continue
            source = values(context, op, x)
        copies.append((Walk(sizes, x_steps, y_steps), source, x_start, aim, y_start))
    kernel = Copies(copies)
    if op.outputs[0].type != schema.INT32:
        return kernel
    kernel.run()
    return None


def _float_bytes(op, tensor):
    if tensor.offset:
        op.refuse("tensor %d is a float32 constant" % tensor.index)
    return as_bytes(tensor.data, 4)


class Copies:
    """copies: of (walk over source and target, source, its start, target, its start).

    A start of None fills the target: the source is the value.
    """

    def __init__(self, copies):
        self._copies = copies

    def run(self):
        for walk, x, x_start, y, y_start in self._copies:
            if x_start is None:
                fill(y, x)
                continue
            at = walk.at
            i_step, j_step = walk.step
            while True:
                copy(y, y_start + at[1], j_step, x, x_start + at[0], i_step, walk.size)
                if not walk.next():
                    break


def copy(y, j, j_step, x, i, i_step, size):
    for _ in range(size):
        y[j] = x[i]
        i += i_step
        j += j_step


def fill(y, value):
    for i in range(len(y)):
        y[i] = value


def _same_types(op, tensors):
    kind = op.outputs[0].type
    for tensor in tensors:
        if tensor.type != kind:
            op.refuse("tensor %d is %s" % (tensor.index, tensor.type_name))


def _strided_slice(context, op):
    op.exactly(4)
    x, y = op.inputs[0], op.outputs[0]
    _same_types(op, [x])
    begin, end, by = [list(known(context, op, t)) for t in op.inputs[1:]]
    options = op.options
    masks = [options.i32(field) if options else 0 for field in range(_OFFSET)]
    if masks[_ELLIPSIS_MASK] or masks[_NEW_AXIS_MASK] or (options and options.i8(_OFFSET)):
        op.refuse("ellipsis, new axes and offsets are not supported")
    n = len(x.shape)
    if n > _MOST_SLICE_DIMENSIONS or not len(begin) == len(end) == len(by) == n or 0 in by:
        op.refuse("slices of %d dimensions; at most 4, with strides other than 0" % n)
    sizes: list = []
    shape: list = []
    start = 0
    steps = strides(x.shape)
    for i in range(n):
        first, size = _range(
            x.shape[i],
            None if masks[_BEGIN_MASK] >> i & 1 else begin[i],
            None if masks[_END_MASK] >> i & 1 else end[i],
            by[i],
        )
        if masks[_SHRINK_AXIS_MASK] >> i & 1:
            if not 0 <= first < x.shape[i] or by[i] < 0:
                op.refuse("index %d of dimension %d" % (begin[i], i))
            size = 1
        else:
            shape.append(size)
        start += first * steps[i]
        steps[i] *= by[i]
        sizes.append(size)
    if tuple(shape) != y.shape:
        op.refuse("slice of shape %s, output shape %s" % (tuple(shape), y.shape))
    return [(x, start, steps, y, 0, strides(sizes), sizes)]


def _range(size, first, last, step):
    """(first index, number of indices) of a slice. C: StridedSlice{Start,End}ForAxis."""
    low, high = (0, size) if step > 0 else (-1, size - 1)

    def clamped(index):
        return min(high, max(low, index + size if index < 0 else index))

    if first is None:
        first = 0 if step > 0 else size - 1
    else:
        first = clamped(first)
    if last is None:
        last = size if step > 0 else -1
    else:
        last = clamped(last)
    return first, max(0, (last - first + step - (1 if step > 0 else -1)) // step)


def _joined(op, axis, sizes):
    """Copies of all inputs side by side along an axis, on which they have these sizes."""
    y = op.outputs[0]
    result = []
    inner = product(y.shape[axis + 1 :])
    outer = product(y.shape[:axis])
    start = 0
    for tensor, size in zip(op.inputs, sizes):
        row = size * inner
        result.append((tensor, 0, (row, 1), y, start, (y.shape[axis] * inner, 1), (outer, row)))
        start += row
    return result


def _concatenation(context, op):
    op.exactly(len(op.inputs))
    y = op.outputs[0]
    _same_types(op, op.inputs)
    axis = op.options.i32(_CONCATENATION_AXIS) if op.options else 0
    axis = axis_of(op, axis, len(y.shape))
    if op.options and op.options.i8(_CONCATENATION_ACTIVATION):
        op.refuse("fused activations are not supported")
    total = 0
    for tensor in op.inputs:
        shape = tensor.shape
        others = y.shape[:axis] + y.shape[axis + 1 :]
        if len(shape) != len(y.shape) or shape[:axis] + shape[axis + 1 :] != others:
            op.refuse("input shape %s, output shape %s" % (shape, y.shape))
        total += shape[axis]
        if y.type == schema.INT8 and (
            tensor.scale() != y.scale() or tensor.zero_point() != y.zero_point()
        ):
            op.refuse("tensor %d and the output have different scales" % tensor.index)
    if total != y.shape[axis]:
        op.refuse("inputs of %d on axis %d, output of %d" % (total, axis, y.shape[axis]))
    return _joined(op, axis, [tensor.shape[axis] for tensor in op.inputs])


def _pack(context, op):
    op.exactly(len(op.inputs))
    y = op.outputs[0]
    _same_types(op, op.inputs)
    axis = _pack_axis(op, len(op.inputs), y)
    wanted = y.shape[:axis] + y.shape[axis + 1 :]
    for tensor in op.inputs:
        if tensor.shape != wanted or y.shape[axis] != len(op.inputs):
            op.refuse("input shape %s, output shape %s" % (tensor.shape, y.shape))
    return _joined(op, axis, [1] * len(op.inputs))


def _pack_axis(op, count, tensor):
    if not op.options or op.options.i32(_PACK_COUNT) != count:
        op.refuse("its options do not say %d tensors" % count)
    return axis_of(op, op.options.i32(_PACK_AXIS), len(tensor.shape))


def _split(context, op):
    op.exactly(2, len(op.outputs))
    x = op.inputs[1]
    axis = axis_of(op, known(context, op, op.inputs[0])[0], len(x.shape))
    part = x.shape[axis] // len(op.outputs)
    return _parted(op, x, axis, x.shape[:axis] + (part,) + x.shape[axis + 1 :])


def _unpack(context, op):
    op.exactly(1, len(op.outputs))
    x = op.inputs[0]
    axis = _pack_axis(op, len(op.outputs), x)
    return _parted(op, x, axis, x.shape[:axis] + x.shape[axis + 1 :])


def _parted(op, x, axis, wanted):
    """Copies of equal parts of x along an axis, each of shape `wanted`."""
    _same_types(op, [x] + op.outputs)
    parts = len(op.outputs)
    row = product(x.shape[axis:]) // parts
    result = []
    for k, y in enumerate(op.outputs):
        if y.shape != wanted or y.size * parts != x.size:
            op.refuse("input shape %s in %d parts of shape %s" % (x.shape, parts, y.shape))
        sizes = product(x.shape[:axis]), row
        result.append((x, k * row, (parts * row, 1), y, 0, (row, 1), sizes))
    return result


def _pad(context, op):
    op.exactly(3 if len(op.inputs) == 3 else 2)
    x, y = op.inputs[0], op.outputs[0]
    paddings = known(context, op, op.inputs[1])
    n = len(x.shape)
    if x.type != schema.INT8 or y.type != schema.INT8 or n > _MOST_PAD_DIMENSIONS:
        op.refuse("%s of %d dimensions; int8 of at most 5 is supported" % (x.type_name, n))
    value = y.zero_point()
    if len(op.inputs) == 3:
        constant = op.inputs[2]
        if constant.type != schema.INT8 or constant.size != 1 or not constant.offset:
            op.refuse("the value to pad with must be one constant int8")
        if constant.scale() != y.scale() or constant.zero_point() != value:
            op.refuse("the value to pad with and the output have different scales")
        value = context.reader.i8(constant.offset)
    if len(paddings) != 2 * n or len(y.shape) != n:
        op.refuse("%d paddings for %d dimensions" % (len(paddings), n))
    steps = strides(y.shape)
    start = 0
    for i in range(n):
        before, after = paddings[2 * i], paddings[2 * i + 1]
        if before < 0 or after < 0 or x.shape[i] + before + after != y.shape[i]:
            op.refuse("input shape %s, output shape %s" % (x.shape, y.shape))
        start += before * steps[i]
    return [
        (value, None, None, y, None, None, None),
        (x, 0, strides(x.shape), y, start, steps, x.shape),
    ]


def _transpose(context, op):
    op.exactly(2)
    x, y = op.inputs[0], op.outputs[0]
    _same_types(op, [x])
    order = list(known(context, op, op.inputs[1]))
    n = len(x.shape)
    if sorted(order) != list(range(n)) or n > _MOST_TRANSPOSE_DIMENSIONS:
        op.refuse("order %s of %d dimensions" % (order, n))
    if tuple(x.shape[i] for i in order) != y.shape:
        op.refuse("input shape %s, output shape %s" % (x.shape, y.shape))
    steps = strides(x.shape)
    return [(x, 0, [steps[i] for i in order], y, 0, strides(y.shape), y.shape)]


_PREPARE = {
    "STRIDED_SLICE": _strided_slice,
    "CONCATENATION": _concatenation,
    "PACK": _pack,
    "SPLIT": _split,
    "UNPACK": _unpack,
    "PAD": _pad,
    "PADV2": _pad,
    "TRANSPOSE": _transpose,
}
