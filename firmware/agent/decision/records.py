"""Decision records and alarms (docs/decision-record.md), each completed by its explanation."""

from agent.plain import NOT_TO_BE_HAD, release

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


def decision(situation, mind, sensors, relay, ask, now_ms):
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
        "rule": situation.rule,
        "ask": ask,
        "set": relay.on,
        "held": relay.held,
        "why": reason(situation, ask),
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


class Recorder:
    """Keeps frames in their order while they wait for their explanation.

    emit: takes a finished frame.
    """

    def __init__(self, explainer, emit):
        self._explainer = explainer
        self._emit = emit
        self._waiting: list = []  # [frame, subject, row, what follows in the words]

    def add(self, frame, subject=None, tail=""):
        """Takes a frame about what `subject` (Cooling or Anomaly) has just computed, or None.

        tail: follows the explanation in `why`.
        """
        if len(self._waiting) >= MOST_WAITING:
            subject = None
        row = bytes_like(subject.features.row) if subject else None
        self._waiting.append([frame, subject, row, tail])

    def forget(self, subject):
        """What waits for an explanation of `subject` goes out without one: it is out of use."""
        for waiting in self._waiting:
            if waiting[1] is subject:
                waiting[1] = None
        self._explainer.forget(subject)

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
            frame["phi"], contributions = done
            frame["why"] += addition(frame, contributions)
        self._waiting.pop(0)
        frame["why"] += tail
        self._emit(frame)

    def finish(self) -> None:
        """Emits all that waits, unexplained: the board is about to stop."""
        for frame, _, _, tail in self._waiting:
            frame["why"] += tail
            self._emit(frame)
        self._waiting = []


def bytes_like(row):
    """A copy of a row of int8 values that later periods do not change."""
    return tuple(row)


def reason(situation, ask):
    """Why that is asked, in words."""
    try:
        from agent.rare.words import reason as in_words

        return in_words(situation, ask, situation.rule)
    except NOT_TO_BE_HAD:
        return "Fan %s because of the rule %s" % ("on" if ask else "off", situation.rule)
    finally:
        release()


def addition(frame, contributions):
    """What the explanation adds to a frame's words."""
    try:
        from agent.rare.words import explained

        return explained(frame, contributions)
    except NOT_TO_BE_HAD:
        return ""  # the numbers themselves are in `phi`
    finally:
        release()


def held_tail(relay, now_ms):
    """The words about the interlock that holds the relay, or ""."""
    if not relay.held:
        return ""
    try:
        from agent.rare.words import held_words

        return held_words(relay.held, relay.on, relay.wait_ms(now_ms))
    except NOT_TO_BE_HAD:
        return ""
    finally:
        release()
