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

# What loaded models go on using of this module: see forget_loader().
RUN = "run copy fill"

# table StridedSliceOptions
_BEGIN_MASK = 0
_END_MASK = 1
_ELLIPSIS_MASK = 2
_NEW_AXIS_MASK = 3
_SHRINK_AXIS_MASK = 4
_OFFSET = 5

# table ConcatenationOptions
_AXIS = 0
_ACTIVATION = 1

# tables PackOptions and UnpackOptions
_PACK_COUNT = 0
_PACK_AXIS = 1

# TFLite-Micro's own limits
_MOST_SLICE_DIMENSIONS = 4
_MOST_PAD_DIMENSIONS = 5
_MOST_TRANSPOSE_DIMENSIONS = 5


def prepare(context, op):
    code = op.code
    if code == schema.STRIDED_SLICE:
        wanted = _strided_slice(context, op)
    elif code == schema.TRANSPOSE:
        wanted = _transpose(context, op)
    elif code in (schema.PAD, schema.PADV2):
        wanted = _pad(context, op)
    else:
        wanted = _along_axis(context, op)
    copies: list = []
    kind = op.outputs[0].type
    for x, x_start, x_steps, y, y_start, y_steps, sizes in wanted:
        if kind == schema.FLOAT32:
            if x.begin:
                op.refuse("tensor %d is a float32 constant" % x.index)
            source, aim = as_bytes(x.view, 4), as_bytes(y.view, 4)
            x_start *= 4
            y_start *= 4
            x_steps, y_steps = [[4 * step for step in by] + [1] for by in (x_steps, y_steps)]
            sizes = list(sizes) + [4]
        else:
            aim = target(op, y) if y.view is None else y.view
            if x_start is None:
                copies.append((None, x, None, aim, 0))
                continue
            source = values(context, op, x)
        copies.append((Walk(sizes, x_steps, y_steps), source, x_start, aim, y_start))
    kernel = Copies(copies)
    if kind != schema.INT32:
        return kernel
    kernel.run()
    return None


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


def _same_types(op, *tensors):
    kind = op.outputs[0].type
    for tensor in tensors:
        if tensor.type != kind:
            op.refuse("tensor %d is %s" % (tensor.index, tensor.type_name))


def _misfit(op, x, y):
    op.refuse("input shape %s, output shape %s" % (x.shape, y.shape))


def _strided_slice(context, op):
    op.exactly(4)
    x, y = op.inputs[0], op.outputs[0]
    _same_types(op, x)
    begin, end, by = [known(context, op, t) for t in op.inputs[1:]]
    options = op.options
    masks = [options.i32(field) if options else 0 for field in range(_OFFSET)]
    if masks[_ELLIPSIS_MASK] or masks[_NEW_AXIS_MASK] or (options and options.i8(_OFFSET)):
        op.refuse("ellipsis, new axes and offsets are not supported: use a RESHAPE after it")
    n = len(x.shape)
    if n > _MOST_SLICE_DIMENSIONS or not len(begin) == len(end) == len(by) == n or 0 in list(by):
        op.refuse("slices of %d dimensions; all of them are given, at most 4, no stride is 0" % n)
    sizes: list = []
    shape: list = []
    start = 0
    steps = strides(x.shape)
    for i in range(n):
        # C: StridedSlice{Start,End}ForAxis.
        size = x.shape[i]
        step = by[i]
        low, high = (0, size) if step > 0 else (-1, size - 1)
        ends = [low, high] if step > 0 else [high, low]
        for k, index in enumerate((begin[i], end[i])):
            if not masks[k] >> i & 1:
                ends[k] = min(high, max(low, index + size if index < 0 else index))
        first, last = ends
        if masks[_SHRINK_AXIS_MASK] >> i & 1:
            if not 0 <= first < size or step < 0:
                op.refuse("index %d of dimension %d" % (begin[i], i))
            size = 1
        else:
            size = max(0, (last - first + step - (1 if step > 0 else -1)) // step)
            shape.append(size)
        start += first * steps[i]
        steps[i] *= step
        sizes.append(size)
    if tuple(shape) != y.shape:
        op.refuse("slice of shape %s, output shape %s" % (tuple(shape), y.shape))
    return [(x, start, steps, y, 0, strides(sizes), sizes)]


def _along_axis(context, op):
    """CONCATENATION, PACK, SPLIT, UNPACK: parts side by side along an axis of the whole.

    PACK and UNPACK have parts without that axis.
    """
    code = op.code
    options = op.options
    parts = op.inputs
    joins = code in (schema.CONCATENATION, schema.PACK)
    packs = code in (schema.PACK, schema.UNPACK)
    if joins:
        op.exactly(len(parts))
        whole = op.outputs[0]
    else:
        parts = op.outputs
        op.exactly(1 if packs else 2, len(parts))
        whole = op.inputs[-1]
    _same_types(op, whole, *parts)
    if packs:
        if not options or options.i32(_PACK_COUNT) != len(parts):
            op.refuse("its options do not say %d tensors" % len(parts))
        axis = options.i32(_PACK_AXIS)
    elif joins:
        axis = options.i32(_AXIS) if options else 0
        if options and options.i8(_ACTIVATION):
            op.refuse("fused activations are not supported")
    else:
        axis = known(context, op, op.inputs[0])[0]
    shape = whole.shape
    axis = axis_of(op, axis, len(shape))
    outer = product(shape[:axis])
    width = whole.size // outer
    start = 0
    result = []
    for part in parts:
        own = () if packs else part.shape[axis : axis + 1]
        row = part.size // outer
        even = joins or row * len(parts) == width
        if part.shape != shape[:axis] + own + shape[axis + 1 :] or not even:
            op.refuse("part of shape %s, all of it %s" % (part.shape, shape))
        if code == schema.CONCATENATION and part.type == schema.INT8:
            if part.scale() != whole.scale() or part.zero_point() != whole.zero_point():
                op.refuse("tensor %d and the output have different scales" % part.index)
        one = part, 0, (row, 1)
        other = whole, start, (width, 1)
        result.append((one + other if joins else other + one) + ((outer, row),))
        start += row
    if start != width:
        op.refuse("%d parts of shape %s do not give %s" % (len(parts), part.shape, shape))
    return result


def _pad(context, op):
    inputs = op.inputs
    op.exactly(3 if len(inputs) == 3 else 2)
    x, y = inputs[0], op.outputs[0]
    paddings = known(context, op, inputs[1])
    n = len(x.shape)
    if x.type != schema.INT8 or y.type != schema.INT8 or n > _MOST_PAD_DIMENSIONS:
        op.refuse("%s of %d dimensions; int8 of at most 5 is supported" % (x.type_name, n))
    value = y.zero_point()
    if len(inputs) == 3:
        constant = inputs[2]
        if constant.type != schema.INT8 or constant.size != 1 or not constant.begin:
            op.refuse("the value to pad with must be one constant int8")
        if constant.scale() != y.scale() or constant.zero_point() != value:
            op.refuse("the value to pad with and the output have different scales")
        value = context.reader.number(constant.begin, "<b")
    if len(paddings) != 2 * n or len(y.shape) != n:
        op.refuse("%d paddings for %d dimensions" % (len(paddings), n))
    steps = strides(y.shape)
    start = 0
    for i in range(n):
        before, after = paddings[2 * i], paddings[2 * i + 1]
        if before < 0 or after < 0 or x.shape[i] + before + after != y.shape[i]:
            _misfit(op, x, y)
        start += before * steps[i]
    return [
        (value, None, None, y, None, None, None),
        (x, 0, strides(x.shape), y, start, steps, x.shape),
    ]


def _transpose(context, op):
    op.exactly(2)
    x, y = op.inputs[0], op.outputs[0]
    _same_types(op, x)
    order = known(context, op, op.inputs[1])
    n = len(x.shape)
    if sorted(order) != list(range(n)) or n > _MOST_TRANSPOSE_DIMENSIONS:
        op.refuse("order %s of %d dimensions" % (order, n))
    if tuple([x.shape[i] for i in order]) != y.shape:
        _misfit(op, x, y)
    steps = strides(x.shape)
    return [(x, 0, [steps[i] for i in order], y, 0, strides(y.shape), y.shape)]
