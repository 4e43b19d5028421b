"""From reset to the loop: what is needed is made in the order in which things may fail."""

import gc
import sys

from .action.relay import Relay
from .clock import Uptime, WallClock, sleep_ms
from .communication.backlog import Backlog
from .communication.link import SerialLink
from .communication.outbox import Outbox
from .communication.reporter import Reporter
from .communication.spool import Spool
from .config import ConfigError, Fallback, load
from .health import BootState, Health
from .perception.sensors import Sensors

CAUSES = ("unknown", "power_on", "hard", "watchdog", "deepsleep", "soft")
WATCHDOG = 3
# Until the first good period: reading models from flash and checking them takes seconds.
START_WDT_MS = 30000
# After Ctrl-C: a forgotten REPL must not be the end of the board's work.
REPL_WDT_MS = 600000


class NoPin:
    """Stands for the relay's pin where the settings do not tell it: left alone since reset, an
    input, so the coil is without current.
    """

    def value(self, level=None):
        return level


class Parts:
    """What the loop works with, as attributes."""


def run() -> None:
    """Starts and runs the agent. Comes back by exception only; the relay is then safe."""
    import machine  # type: ignore[import-not-found]

    state = BootState()
    state.begin()
    machine.WDT(timeout=START_WDT_MS)
    app = None
    try:
        app = _make(machine, state)
        app.run()
    except KeyboardInterrupt:
        machine.WDT(timeout=REPL_WDT_MS)
        state.excuse()
        raise
    except Exception:
        state.crashed()
        raise
    finally:
        if app is not None:
            app.close()


def _make(machine, state):
    parts = Parts()
    parts.boot_state = state
    parts.safe_mode = state.safe_mode
    parts.problems = []
    try:
        config = load()
    except ConfigError as error:
        config = Fallback()
        parts.safe_mode = True
        parts.problems = error.problems
    parts.config = config
    parts.uptime = Uptime()
    parts.wall = WallClock()
    parts.relay = _relay(machine, config, parts.uptime.ms())
    cause = machine.reset_cause()
    parts.cause = CAUSES[cause] if 0 <= cause < len(CAUSES) else CAUSES[0]
    parts.watchdog_bit = cause == WATCHDOG
    parts.health = Health()
    parts.sleep_ms = sleep_ms
    parts.reset = machine.reset
    parts.feed = Watchdog(machine, config.wdt_ms).feed
    parts.link = SerialLink()
    parts.mind = _mind(parts)
    gc.collect()
    parts.backlog = Backlog()
    parts.outbox = Outbox(Spool())
    parts.sensors = Sensors(config.sensors, parts.uptime.ms())
    parts.reporter = Reporter(
        state.boot, parts.uptime, parts.wall, parts.link, parts.outbox, parts.backlog
    )
    if state.lost and state.boot % 1000 != 1:
        parts.problems.append("the boot counter was lost")
    from .app import App

    gc.collect()
    if hasattr(gc, "mem_free"):
        parts.health.heap(gc.mem_free())
    return App(parts)


def _relay(machine, config, now_ms):
    wiring = config.relay
    if not wiring:
        pin, wiring = NoPin(), {"contact": "nc", "active": "high"}
    else:
        from .action.relay import pin_level

        level = pin_level(True, wiring["contact"], wiring["active"])
        pin = machine.Pin(wiring["pin"], machine.Pin.OUT, value=level)
    return Relay(
        pin,
        wiring["contact"],
        wiring["active"],
        config.min_on_s * 1000,
        config.min_off_s * 1000,
        config.max_run_s * 1000,
        now_ms,
    )


def _mind(parts):
    from .cognition.mind import Mind

    if parts.safe_mode:
        return Mind(no_model="safe mode")
    if parts.config.period_ms != 1000:
        parts.problems.append("models need period_ms 1000: none is used")
        return Mind(no_model="the period is not 1 s")
    from .cognition import bundle

    found = []
    why_none = "no model is installed"
    for role in (bundle.COOLING, bundle.ANOMALY):
        try:
            found.append(bundle.load(role))
        except bundle.NoBundleError:
            found.append(None)
        except Exception as error:
            # Refused, and the thermostat takes over; a model must never keep the board from work.
            found.append(None)
            parts.problems.append("%s model refused: %s" % (role, error))
            if role == bundle.COOLING:
                why_none = "its model was refused"
        gc.collect()
    return Mind(found[0], found[1], why_none)


class Watchdog:
    """The hardware watchdog: the loop calls `feed()` after a good period, and nobody else does."""

    def __init__(self, machine, timeout_ms):
        self._machine = machine
        self._timeout_ms = timeout_ms
        self._wdt = None

    def feed(self) -> None:
        if self._wdt is None:
            # Made again with the loop's own, shorter time: an ESP32 reconfigures the one it has.
            self._wdt = self._machine.WDT(timeout=self._timeout_ms)
        self._wdt.feed()


def print_exception(error) -> None:
    """For the console."""
    sys.print_exception(error)  # type: ignore[attr-defined]
