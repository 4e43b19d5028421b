"""RESIZE_NEAREST_NEIGHBOR, int8 -> int8.

C: tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h. The positions are computed
in float there, and exactly so here, when the model is loaded.
"""

from array import array

from .. import schema
from ..float32 import FLOAT_BITS, product, ratio, rounded
from .copies import copy
from .walk import known

# table ResizeNearestNeighborOptions
_ALIGN_CORNERS = 0
_HALF_PIXEL_CENTERS = 1


def prepare(context, op):
    op.exactly(2)
    op.typed(schema.INT8, schema.INT32, schema.INT8)
    x, y = op.inputs[0], op.outputs[0]
    size = known(context, op, op.inputs[1])
    if len(x.shape) != 4 or x.offset or len(size) != 2:
        op.refuse("input shape %s" % (x.shape,))
    batches, rows, columns, depth = x.shape
    if y.shape != (batches, size[0], size[1], depth):
        op.refuse("input shape %s, output shape %s" % (x.shape, y.shape))
    corners = op.options.i8(_ALIGN_CORNERS) if op.options else 0
    half = op.options.i8(_HALF_PIXEL_CENTERS) if op.options else 0
    return Resize(
        x.data,
        y.data,
        _positions(rows, size[0], corners, half, columns * depth),
        _positions(columns, size[1], corners, half, depth),
        range(0, x.size, rows * columns * depth),
        depth,
    )


def _positions(size, wanted, corners, half, step):
    """For each output row or column, where its nearest input lies. C: GetNearestNeighbor."""
    if corners and wanted > 1:
        scale = _float_ratio(size - 1, wanted - 1)
    else:
        scale = _float_ratio(size, wanted)
    result = array("i")
    for i in range(wanted):
        m, e = product((2 * i + (1 if half else 0), -1), scale, FLOAT_BITS)
        if corners and e < 0:  # round, half away from zero; floor otherwise
            m, e = m * 2 + (1 << -e), e - 1
        result.append(min(size - 1, m >> -e if e < 0 else m << e) * step)
    return result


def _float_ratio(a, b):
    """float(a) / float(b), where C has no integer operand beyond 24 bits."""
    a, b = rounded(a, 0, FLOAT_BITS), rounded(b, 0, FLOAT_BITS)
    return ratio(a, b, FLOAT_BITS)


class Resize:
    def __init__(self, x, y, rows, columns, batches, depth):
        self._x = x
        self._y = y
        self._rows = rows
        self._columns = columns
        self._batches = array("i", batches)
        self._depth = depth

    def run(self):
        x = self._x
        y = self._y
        depth = self._depth
        o = 0
        for batch in self._batches:
            for row in self._rows:
                for column in self._columns:
                    copy(y, o, 1, x, batch + row + column, 1, depth)
                    o += depth
