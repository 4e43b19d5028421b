"""RESIZE_NEAREST_NEIGHBOR, int8 -> int8.

C: tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h. The positions are computed
in float there, and exactly so here, when the model is loaded.
"""

from array import array

from .. import schema
from ..float32 import FLOAT_BITS, product, ratio, rounded
from .copies import copy
from .walk import known

# What loaded models go on using of this module: see forget_loader().
RUN = "run copy"

# table ResizeNearestNeighborOptions
_ALIGN_CORNERS = 0
_HALF_PIXEL_CENTERS = 1


def prepare(context, op):
    op.exactly(2)
    op.typed(schema.INT8, schema.INT32, schema.INT8)
    x, y = op.inputs[0], op.outputs[0]
    size = known(context, op, op.inputs[1])
    if len(x.shape) != 4 or x.begin or y.shape != x.shape[:1] + tuple(size) + x.shape[3:]:
        op.refuse("input shape %s, output shape %s" % (x.shape, y.shape))
    return Resize(op, x, y)


class Resize:
    def __init__(self, op, x, y):
        self._x = x.view
        self._y = y.view
        _, rows, columns, self._depth = x.shape
        line = columns * self._depth
        self._rows = _positions(op, rows, y.shape[1], line)
        self._columns = _positions(op, columns, y.shape[2], self._depth)
        self._batches = array("i", range(0, x.size, rows * line))

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


def _positions(op, size, wanted, step):
    """For each output row or column, where its nearest input lies. C: GetNearestNeighbor."""
    options = op.options
    corners = options and options.i8(_ALIGN_CORNERS)
    half = 1 if options and options.i8(_HALF_PIXEL_CENTERS) else 0
    less = 1 if corners and wanted > 1 else 0
    # float(a) / float(b), where C has no integer operand beyond 24 bits.
    a, b = [rounded(n - less, 0, FLOAT_BITS) for n in (size, wanted)]
    scale = ratio(a, b, FLOAT_BITS)
    result = array("i")
    for i in range(wanted):
        m, e = product((2 * i + half, -1), scale, FLOAT_BITS)
        if corners and e < 0:  # round, half away from zero; floor otherwise
            m, e = m * 2 + (1 << -e), e - 1
        result.append(min(size - 1, m >> -e if e < 0 else m << e) * step)
    return result
