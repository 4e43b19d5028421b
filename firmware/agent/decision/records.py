"""Decision records and alarms (docs/decision-record.md), each completed by its explanation."""

from .policy import held_words, mostly

MINUTE_MS = 60000
# Records that wait for an explanation at a time; one more goes out without.
MOST_WAITING = 3
EVALUATIONS = 8  # per look: about 40 ms on a chip at 240 MHz for a model of 400 multiplications


class Trigger:
    """Says when a decision must be recorded: on any change, each minute, and on request."""

    def __init__(self):
        self._last = None
        self._last_ms = 0
        self.requested = False

    def due(self, ask, set_to, rule, now_ms):
        now = (ask, set_to, rule)
        if now == self._last and not self.requested and now_ms - self._last_ms < MINUTE_MS:
            return False
        self._last = now
        self._last_ms = now_ms
        self.requested = False
        return True


def decision(situation, mind, sensors, relay, ask, rule, why, now_ms):
    """A decision record without `phi`; the words lack what only the explanation can add."""
    cooling = mind.cooling
    if cooling and cooling.fc_off_mc is not None:
        features = cooling.features
        used = {features.names[i]: features.values[i] for i in range(len(features.names))}
    else:
        used = {
            "case_mc": sensors.case.value,
            "ambient_mc": sensors.ambient.value,
            "power_mw": sensors.power.value,
            "fan_rpm": sensors.fan.value,
        }
    anomaly = mind.anomaly
    return {
        "t": "dec",
        "ms": now_ms,
        "model": cooling.bundle.name if cooling else None,
        "amodel": anomaly.bundle.name if anomaly else None,
        "in": used,
        "limit_mc": situation.effective_limit_mc(),
        "fc_off_mc": situation.fc_off_mc,
        "fc_on_mc": situation.fc_on_mc,
        "score": anomaly.score if anomaly else None,
        "thr": anomaly.bundle.threshold if anomaly else None,
        "anom": 1 if situation.anomaly else 0,
        "rule": rule,
        "ask": ask,
        "set": relay.on,
        "held": relay.held,
        "why": why,
        "phi": None,
    }


def alarm(kind, raised, why, value, now_ms):
    """An alarm frame, raised or cleared. `value` is what it was judged by."""
    return {
        "t": "alarm",
        "ms": now_ms,
        "kind": kind,
        "on": 1 if raised else 0,
        "why": why,
        "val": value,
    }


def mostly_score(contributions):
    """The two features that contribute most to a score, for the words of an alarm."""
    largest = sorted(contributions, key=_value, reverse=True)[:2]
    named = ["%s %d" % pair for pair in largest if pair[1] > 0]
    return "; mostly " + ", ".join(named) if named else ""


def _value(pair):
    return pair[1]


class Recorder:
    """Keeps frames in their order while they wait for their explanation.

    emit: takes a finished frame. words: feature name to the words used for it.
    """

    def __init__(self, explainer, emit, words):
        self._explainer = explainer
        self._emit = emit
        self._words = words
        self._waiting: list = []  # [frame, subject, row, what follows in the words]

    def add(self, frame, subject=None, tail=""):
        """Takes a frame about what `subject` (Cooling or Anomaly) has just computed, or None.

        tail: follows the explanation in `why`.
        """
        if len(self._waiting) >= MOST_WAITING:
            subject = None
        row = bytes_like(subject.features.row) if subject else None
        self._waiting.append([frame, subject, row, tail])

    def work(self) -> None:
        """A bounded step: at most one frame is finished."""
        if not self._waiting:
            return
        frame, subject, row, tail = self._waiting[0]
        if subject is not None:
            explainer = self._explainer
            if not explainer.busy:
                explainer.begin(subject, row)
            try:
                done = explainer.work(EVALUATIONS)
            except Exception:
                # Not explained is better than not told, and than trying for ever.
                explainer.stop()
                self._waiting[0][1] = None
                raise
            if done is None:
                return
            self._complete(frame, done)
        self._waiting.pop(0)
        frame["why"] += tail
        self._emit(frame)

    def _complete(self, frame, done):
        frame["phi"], contributions = done
        named = [(self._words.get(name, name), value) for name, value in contributions]
        if frame["t"] == "alarm":
            frame["why"] += mostly_score(named)
        elif frame["rule"] == "forecast":
            frame["why"] += mostly(named)

    def finish(self) -> None:
        """Emits all that waits, unexplained: the board is about to stop."""
        for frame, _, _, tail in self._waiting:
            frame["why"] += tail
            self._emit(frame)
        self._waiting = []


def bytes_like(row):
    """A copy of a row of int8 values that later periods do not change."""
    return tuple(row)


def held_tail(relay, now_ms):
    """The words about the interlock that holds the relay, or ""."""
    return held_words(relay.held, relay.on, relay.wait_ms(now_ms)) if relay.held else ""
