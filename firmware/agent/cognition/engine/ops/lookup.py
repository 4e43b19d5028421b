"""Any operator that maps one int8 to one int8: a table of 256 bytes, made at load."""

from array import array

# What loaded models go on using of this module: see forget_loader().
RUN = "run"


class Lookup:
    """Computes y[i] = function(x[i]). Negative values index the table from its end."""

    def __init__(self, op, function):
        self._x = op.inputs[0].view
        self._y = op.outputs[0].view
        self._table = array("b", [clamp(function(v)) for v in range(128)])
        self._table.extend(array("b", [clamp(function(v)) for v in range(-128, 0)]))

    def run(self):
        y = self._y
        table = self._table
        i = 0
        for v in self._x:
            y[i] = table[v]
            i += 1


def clamp(value: int) -> int:
    return max(-128, min(127, value))
