"""The control loop: perception, cognition, decision, action once per period.

Between periods it listens, sends and explains.

Any exception sets the relay to its safe state, is counted, and the loop goes on. Only a period
without one feeds the watchdog, so what fails persistently ends in a reset.
"""

import gc

from .communication.reports import telemetry
from .decision import policy
from .decision.alarms import ANOMALY, Alarms
from .decision.override import Override
from .decision.records import Recorder, Trigger, alarm, decision, held_tail
from .health import GOOD_MS
from .plain import NOT_TO_BE_HAD, release

LOOK_MS = 20  # between looks at the line
HEALTH_MS = 60000
# A case sensor may need this long for its first reading; then its absence counts as a loss.
START_MS = 5000


class App:
    """parts: see start.py, which makes them. All I/O is in them."""

    def __init__(self, parts):
        self.parts = parts
        self.config = config = parts.config
        self.uptime = parts.uptime
        self.relay = parts.relay
        self.sensors = parts.sensors
        self.mind = mind = parts.mind
        self.link = parts.link
        self.mqtt = parts.mqtt
        self.outbox = parts.outbox
        self.reporter = parts.reporter
        self.health = parts.health
        self.override = Override()
        self.trigger = Trigger()
        self.recorder = Recorder(mind.explainer, parts.reporter.keep)
        self.situation = policy.Situation(
            config.limit_mc,
            config.trip_mc,
            config.hysteresis_mk,
            config.anomaly_margin_mk,
            mind.horizon_s,
        )
        self.alarms = Alarms(
            self._alarm,
            self.sensors.fitted,
            config.period_ms,
            mind.anomaly.bundle.hold if mind.anomaly else 1,
            parts.watchdog_bit,
        )
        if self.mqtt:
            self.mqtt.came_up = self.greet
            self.mqtt.log = parts.reporter.log
        self.ask = 1
        self._health_due_ms = HEALTH_MS
        self.reboot_ms = None  # when to restart
        self.self_test = None  # a SelfTest under way
        self._told_time = False
        self._good = False

    def run(self) -> None:
        """For ever; a KeyboardInterrupt gets out, and so does the reset of a `reboot` command."""
        period_ms = self.config.period_ms
        self._guarded(self.greet)
        next_ms = self.uptime.ms()
        while True:
            now_ms = self.uptime.ms()
            if now_ms >= next_ms:
                if self._guarded(self.period):
                    self.parts.feed()
                if self.mqtt:
                    # What takes longest goes here: a period to the next, and the watchdog just fed.
                    self.mqtt.tend(self.uptime.ms())
                next_ms += period_ms
                behind_ms = self.uptime.ms() - next_ms
                if behind_ms >= 0:
                    self.health.late += 1
                    next_ms += period_ms * (behind_ms // period_ms + 1)
            self._guarded(self.look)
            wait_ms = next_ms - self.uptime.ms()
            if wait_ms > 0:
                self.parts.sleep_ms(wait_ms if wait_ms < LOOK_MS else LOOK_MS)

    def _guarded(self, step):
        try:
            step()
            return True
        except Exception as error:
            self.relay.safe(self.uptime.ms())
            self._report(error)
            return False

    def _report(self, error):
        # Telling must not be what fails next.
        try:
            self.health.error(error, "loop")
            self.reporter.log("error", self.health.last_error)
        except Exception:
            pass

    def period(self) -> None:
        """One control period."""
        now_ms = self.uptime.ms()
        self.sensors.read(now_ms)
        self.mind.observe(self.sensors, self.relay.on)
        if self.mind.anomaly:
            self.alarms.judge_anomaly(self.mind.score, self.mind.anomaly.bundle.threshold)
        self._decide(now_ms)
        self.mind.acted(self.relay.on)
        self._record(now_ms)
        self.alarms.judge(
            self.sensors.case.value,
            self.config.trip_mc,
            self.relay.on,
            self.sensors.fan.value if self.sensors.fan in self.sensors.fitted else None,
            now_ms,
        )
        self.reporter.telemetry(telemetry(self, now_ms), now_ms)
        self.outbox.tend(now_ms, self.link.connected(now_ms))
        self._housekeeping(now_ms)

    def _decide(self, now_ms):
        s = self.situation
        case = self.sensors.case
        s.case_mc = case.value
        s.case_reason = case.reason
        s.started = s.started or case.value is not None or now_ms >= START_MS
        s.fc_off_mc = self.mind.fc_off_mc
        s.fc_on_mc = self.mind.fc_on_mc
        s.no_model = self.mind.no_model
        s.anomaly = self.alarms.anomaly
        s.override_left_s = self.override.left_s(now_ms)
        s.override = self.override.fan
        s.fan_on = self.relay.on
        self.ask, s.rule = policy.decide(s)
        if s.rule in policy.SAFE_RULES:
            self.relay.safe(now_ms)
        else:
            self.relay.request(self.ask, now_ms)

    def _record(self, now_ms):
        s = self.situation
        if not self.trigger.due(self.ask, self.relay.on, s.rule, now_ms):
            return
        record = decision(s, self.mind, self.sensors, self.relay, self.ask, now_ms)
        subject = self.mind.cooling if s.fc_off_mc is not None else None
        self.recorder.add(record, subject, held_tail(self.relay, now_ms))

    def _alarm(self, kind, raised, why, value, of):
        frame = alarm(kind, raised, why, value, self.uptime.ms())
        if of is not None:
            frame["of"] = of
        self.recorder.add(frame, self.mind.anomaly if kind == ANOMALY else None)

    def _housekeeping(self, now_ms):
        if not self._good and now_ms >= GOOD_MS:
            self._good = True
            self.parts.boot_state.good()
        if now_ms >= self._health_due_ms:
            self._health_due_ms = now_ms + HEALTH_MS
            self._tell_vitals(now_ms)
        gc.collect()
        if hasattr(gc, "mem_free"):
            self.health.heap(gc.mem_free())
        self.health.period(self.uptime.ms() - now_ms)

    def look(self) -> None:
        """Between periods: what has come in, what is due to go out, a piece of an explanation, and
        one of a self-test.
        """
        now_ms = self.uptime.ms()
        for frame in self.link.read(now_ms):
            self._take(frame, now_ms)
        self.recorder.work()
        self._test()
        self.reporter.flush(now_ms)
        if self.reboot_ms is not None and now_ms >= self.reboot_ms:
            self.close()
            self.parts.boot_state.excuse()
            self.parts.reset()

    def _take(self, frame, now_ms):
        kind = frame["t"]
        if kind == "ack":
            self.outbox.ack(frame.get("acks"))
        elif kind == "clock":
            at = frame.get("at")
            if isinstance(at, int) and self.parts.wall.set(at, now_ms) and not self._told_time:
                self._told_time = True
                self.greet()
        elif kind == "cmd":
            self._obey(frame)

    # What these need is loaded for the purpose. Where it cannot be had that is told, and no reason
    # for the relay to go to its safe state.

    def _obey(self, frame):
        try:
            from .rare.commands import Actions, run

            answer = run(frame, Actions(self, frame.get("id")))
            if answer:
                self.reporter.say(answer)
        except NOT_TO_BE_HAD as error:
            self._report(error)
        finally:
            release()

    def _test(self):
        test = self.self_test
        if test is None:
            return
        try:
            if test.work():
                self.self_test = None
                test.tell(self)
        except NOT_TO_BE_HAD as error:
            self.self_test = None
            self._report(error)

    def _tell_vitals(self, now_ms):
        try:
            from .rare.reports import vitals

            self.reporter.say(vitals(self, now_ms))
        except NOT_TO_BE_HAD as error:
            self._report(error)
        finally:
            release()

    def greet(self) -> None:
        """Says who the board is, and what is wrong with its settings and models."""
        try:
            from .rare.reports import hello

            self.reporter.say(hello(self))
        except NOT_TO_BE_HAD as error:
            self._report(error)
        finally:
            release()
        for problem in self.parts.problems:
            self.reporter.log("error", problem)

    def close(self) -> None:
        """The relay safe and nothing durable left in RAM only: the program is about to end."""
        self.relay.safe(self.uptime.ms())
        self.recorder.finish()
        self.outbox.spill()
        if self.mqtt:
            self.mqtt.close()
