"""Exact Shapley values without stopping the control loop.

The coalitions are evaluated a few at a time, between control periods that use the same model. So a
record comes up to some seconds after its decision, and explains the inputs of that decision.
"""

from array import array

from .shapley import MAX_FEATURES, Shapley


class Explainer:
    """Explains one thing at a time."""

    def __init__(self):
        self._row = array("b", bytes(MAX_FEATURES))  # whose worth is wanted next
        self._subject: object = None
        self._steps: object = None

    @property
    def busy(self) -> bool:
        return self._subject is not None

    def begin(self, subject, row):
        """Starts on `row` (int8 features) of a Cooling or Anomaly."""
        bundle = subject.bundle
        self._steps = Shapley(len(bundle.names), bundle.baseline).steps(row, self._row)
        next(self._steps)  # type: ignore[call-overload]
        self._subject = subject

    def stop(self) -> None:
        """Gives up what is under way."""
        self._subject = self._steps = None

    def forget(self, subject):
        """Gives up an explanation of `subject`."""
        if self._subject is subject:
            self.stop()

    def work(self, evaluations):
        """Does at most that many; returns the phi block (docs/decision-record.md) and the
        contributions [(name, value in unit)] once done, None before.
        """
        subject = self._subject
        view = subject.inputs  # type: ignore[attr-defined]
        for _ in range(evaluations):
            # Every input is written each time: a control period may have used the model in between.
            for i in range(len(subject.bundle.names)):  # type: ignore[attr-defined]
                view[i] = self._row[i]
            subject.prepare(view)  # type: ignore[attr-defined]
            result = self._steps.send(subject.evaluate())  # type: ignore[attr-defined]
            if result is not None:
                self.stop()
                return _told(subject, result)
        return None


def _told(subject, result):
    names = subject.bundle.names
    phi = {
        "of": subject.OF,
        "unit": subject.UNIT,
        "names": names,
        "num": result.numerators,
        "den": result.denominator,
        "base_num": result.base_numerator,
        "lsb": subject.lsb,
        "err": result.additivity_error_numerator,
        "bid": subject.bundle.name + "#b",
    }
    contributions = [
        (names[i], subject.in_unit(result.numerators[i], result.denominator))
        for i in range(len(names))
    ]
    return phi, contributions
