"""The anomaly model: how badly an auto-encoder of normal operation rebuilds the features."""

from .cooling import Inputs


class Anomaly:
    """`judge()` sets `score` (docs/bundle.md) from the window's present features."""

    UNIT = "score"
    OF = "score"
    lsb = 1

    def __init__(self, bundle, window):
        self.bundle = bundle
        self.features = Inputs(bundle, window)
        self.score = None
        self.inputs = bundle.model.inputs[0]
        self._output = bundle.model.outputs[0]
        self._zero_in = bundle.model.input_zero_point[0]
        self._zero_out = bundle.model.output_zero_point[0]

    def judge(self):
        self.features.fill(self.inputs)
        self.score = self.evaluate()

    def forget(self):
        """There is no score: what it needs is not known."""
        self.score = None

    def evaluate(self) -> int:
        """The score of what lies in `inputs`."""
        bundle = self.bundle
        bundle.model.invoke()
        inputs = self.inputs
        output = self._output
        n = len(output)
        total = 0
        for i in range(n):
            d = (
                (inputs[i] - self._zero_in) * bundle.in_mul
                - (output[i] - self._zero_out) * bundle.out_mul
            ) >> bundle.shift
            total += d * d
        return total // n

    def prepare(self, view):
        pass

    def in_unit(self, numerator, denominator):
        return (2 * numerator + denominator) // (2 * denominator)
