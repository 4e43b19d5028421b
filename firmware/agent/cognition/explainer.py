"""Exact Shapley values without stopping the control loop.

All coalitions are evaluated a few at a time, between control periods that use the same model; the
arithmetic over them (shapley.py) follows in one go. So a record comes up to some seconds after its
decision, and explains the inputs of that decision.
"""

from array import array

from .shapley import Shapley


class Explainer:
    """Explains one thing at a time.

    explained: list of Cooling or Anomaly that may be asked for.
    """

    def __init__(self, explained):
        self._shapley = [(e, Shapley(len(e.bundle.names), e.bundle.baseline)) for e in explained]
        most = 0
        for e in explained:
            most = max(most, len(e.bundle.baseline) << len(e.bundle.names))
        self._worth = array("i", [0] * (most + 1))
        self._scratch = array("b", [0] * 12)
        self._subject: object = None
        self._row = b""
        self._stored = self._read = 0
        self._baseline = self._step = 0

    @property
    def busy(self) -> bool:
        return self._subject is not None

    def begin(self, subject, row):
        """Starts on `row` (int8 features) of a Cooling or Anomaly."""
        self._subject = subject
        self._row = row
        self._stored = self._baseline = self._step = 0

    def stop(self) -> None:
        """Gives up what is under way."""
        self._subject = None

    def work(self, evaluations):
        """Does at most that many; returns the phi block (docs/decision-record.md) and the
        contributions [(name, value in unit)] once done, None before.
        """
        subject = self._subject
        rows = subject.bundle.baseline  # type: ignore[attr-defined]
        n = len(self._row)
        while self._baseline < len(rows):
            row = rows[self._baseline]
            # The order of Shapley.explain(), which asks for nothing where a feature equals its
            # baseline: Gray code, then the row itself.
            if (
                self._step == 0
                or self._row[_lowest_bit(self._step)] != row[_lowest_bit(self._step)]
            ):
                if evaluations <= 0:
                    return None
                evaluations -= 1
                self._evaluate(self._step ^ self._step >> 1, row)
            self._step += 1
            if self._step >> n:
                self._step = 0
                self._baseline += 1
        self._evaluate(-1, self._row)
        self._subject = None
        return self._finish(subject)

    def _evaluate(self, members, row):
        # Every input is written each time: a control period may have used the model in between.
        view = self._subject.inputs  # type: ignore[attr-defined]
        x = self._row
        for i in range(len(x)):
            view[i] = x[i] if members >> i & 1 else row[i]
        self._subject.prepare(view)  # type: ignore[attr-defined]
        self._worth[self._stored] = self._subject.evaluate()  # type: ignore[attr-defined]
        self._stored += 1

    def _next_worth(self):
        self._read += 1
        return self._worth[self._read - 1]

    def _finish(self, subject):
        self._read = 0
        for candidate, shapley in self._shapley:
            if candidate is subject:
                result = shapley.explain(self._next_worth, self._row, self._scratch)
        err = result.additivity_error_numerator
        if self._read != self._stored:
            err = self._stored - self._read or 1
        names = subject.bundle.names
        phi = {
            "of": subject.OF,
            "unit": subject.UNIT,
            "names": names,
            "num": result.numerators,
            "den": result.denominator,
            "base_num": result.base_numerator,
            "lsb": subject.lsb,
            "err": err,
            "bid": subject.bundle.name + "#b",
        }
        contributions = [
            (names[i], subject.in_unit(result.numerators[i], result.denominator))
            for i in range(len(names))
        ]
        return phi, contributions


def _lowest_bit(step):
    i = 0
    while step and not step >> i & 1:
        i += 1
    return i
