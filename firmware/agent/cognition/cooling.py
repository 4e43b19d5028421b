"""The cooling model: the case temperature one horizon ahead, for each action."""

from .features import quantise


class Inputs:
    """A bundle's int8 inputs from a FeatureWindow: `values` and, scaled, `row`."""

    def __init__(self, bundle, window):
        from array import array

        self.names = bundle.names
        self._specs = bundle.specs
        self._window = window
        self.values = array("i", [0] * len(self._specs))
        self.row = array("b", [0] * len(self._specs))

    def fill(self, view):
        """Takes the window's present values, into `values`, `row` and the model's input view."""
        i = 0
        for name, offset, mul, shift in self._specs:
            value = self._window.value(name)
            self.values[i] = value
            q = quantise(value, offset, mul, shift)
            self.row[i] = q
            view[i] = q
            i += 1


class Cooling:
    """`forecast()` sets `fc_off_mc` and `fc_on_mc` from the window's present features."""

    UNIT = "mK"
    OF = "fc_off"

    def __init__(self, bundle, window):
        self.bundle = bundle
        self.features = Inputs(bundle, window)
        self.fc_off_mc = None
        self.fc_on_mc = None
        self._window = window
        self.inputs = bundle.model.inputs[0]
        self._output = bundle.model.outputs[0]
        self._zero = bundle.model.output_zero_point[0]
        shift = bundle.scale_shift
        self._half = 1 << (shift - 1) if shift else 0
        self.lsb = bundle.scale_num / (1 << shift)

    def forecast(self):
        view = self.inputs
        self.features.fill(view)
        case_mc = self._window.case_mc
        action = len(self.features.row)
        view[action] = self.bundle.on_q
        self.fc_on_mc = case_mc + self._change_mk()
        view[action] = self.bundle.off_q
        self.fc_off_mc = case_mc + self._change_mk()

    def forget(self):
        """There is no forecast: what it needs is not known."""
        self.fc_off_mc = self.fc_on_mc = None

    def _change_mk(self):
        steps = self.evaluate()
        return (steps * self.bundle.scale_num + self._half) >> self.bundle.scale_shift

    def evaluate(self) -> int:
        """The model's output in steps over its zero point, for what lies in `inputs`."""
        self.bundle.model.invoke()
        return self._output[0] - self._zero

    def prepare(self, view):
        """Sets what is behind the features to the action that is explained: off."""
        view[len(self.features.row)] = self.bundle.off_q

    def in_unit(self, numerator, denominator):
        """A Shapley numerator in mK, rounded to the nearest."""
        whole = denominator << self.bundle.scale_shift
        return (2 * numerator * self.bundle.scale_num + whole) // (2 * whole)
