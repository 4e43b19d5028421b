"""From reset to the loop: what is needed is made in the order in which things may fail."""

import gc
import os
import sys

from .plain import NOT_TO_BE_HAD, plain, release, unload

CAUSES = ("unknown", "power_on", "hard", "watchdog", "deepsleep", "soft")
WATCHDOG = 3
# Until the first good period: reading models from flash and checking them takes seconds.
START_WDT_MS = 30000
# Bytes allocated between collections: while starting, and in the loop.
GC_THRESHOLD = 2048
GC_LOOP_THRESHOLD = 8192
# Safe mode keeps the link, or nobody would hear of it; unless it may be what makes boots fail.
WITHOUT_MQTT_AFTER = 6


# What only starting needs; the loop has better use for its room.
UNLOAD = (
    "agent.start",
    "agent.config",
    "agent.link_config",
    "agent.cognition.bundle",
    "agent.cognition.golden",
)


def make(state):
    """The App of this board, from what lies on its flash, ready to run.

    state: BootState of this boot, already counted. Settings and models that cannot be used do not
    keep it from working (docs/firmware.md, "What happens when"), but for those of a set on trial:
    raises ConfigError or BundleError, and the set before it runs again. Models come before the
    loop's own code: reading and checking them needs the most room, and leaves it in one piece.
    """
    import machine  # type: ignore[import-not-found]

    machine.WDT(timeout=START_WDT_MS)
    if hasattr(gc, "threshold"):
        # Else what is read once fills the heap, and what stays lies scattered over all of it.
        gc.threshold(GC_THRESHOLD)
    parts = plain()
    parts.boot_state = state
    parts.safe_mode = state.safe_mode
    parts.problems = []
    if state.trial and state.trial.failed:
        parts.problems.append(
            "set %s did not come up: back to %s"
            % (state.trial.failed, state.trial.id or "the files at the root")
        )
    # Settings and models come from the set the code is of: "/a/agent" or, at the root, "agent".
    parts.root = sys.modules["agent"].__path__[: -len("/agent")]  # type: ignore[index]
    cause = machine.reset_cause()
    parts.cause = CAUSES[cause] if 0 <= cause < len(CAUSES) else CAUSES[0]
    parts.watchdog_bit = cause == WATCHDOG
    parts.config = config = _settings(parts)
    parts.speaks_mqtt = config.link == "mqtt" and state.fails <= WITHOUT_MQTT_AFTER
    if parts.speaks_mqtt:
        _radio(parts)
    unload(UNLOAD)
    gc.collect()
    found, no_model = _models(parts)
    unload(UNLOAD)
    gc.collect()

    from .clock import Uptime, WallClock, sleep_ms

    parts.uptime = Uptime()
    parts.wall = WallClock()
    parts.sleep_ms = sleep_ms
    parts.reset = machine.reset
    parts.relay = _relay(machine, config, parts.uptime.ms())
    _connect(parts, state.boot)
    _think(parts, found, no_model)

    from .health import Health, Watchdog
    from .perception.sensors import Sensors

    parts.health = Health()
    parts.feed = Watchdog(machine.WDT, config.wdt_ms).feed
    parts.sensors = Sensors(config.sensors, parts.uptime.ms())

    from .app import App

    unload(UNLOAD)
    gc.collect()
    if hasattr(gc, "threshold"):
        gc.threshold(GC_LOOP_THRESHOLD)
        parts.health.heap(gc.mem_free())  # type: ignore[attr-defined]
    return App(parts)


def _settings(parts):
    from .config import ConfigError, fallback, load

    path = parts.root + "/config.json"
    try:
        return load(path)
    except ConfigError as error:
        trial = parts.boot_state.trial
        if trial and trial.withdraw():
            # Rather the set before it than safe mode.
            raise
        parts.safe_mode = True
        parts.problems += error.problems
        return fallback(path)


def _radio(parts):
    # The driver takes its memory before models and code do, and its time while the watchdog still
    # leaves it; how the board joins comes later (communication/mqtt/wifi.py).
    try:
        import network  # type: ignore[import-not-found]

        network.WLAN(network.STA_IF).active(True)
    except Exception as error:
        parts.problems.append("the radio cannot be started: %s" % error)


def _models(parts):
    # ([cooling, anomaly] bundles or None, why there is no cooling model)
    if parts.safe_mode:
        return [None, None], "safe mode"
    if parts.config.period_ms != 1000:
        parts.problems.append("models need period_ms 1000: none is used")
        return [None, None], "the period is not 1 s"
    from .cognition import bundle
    from .cognition.engine import forget_loader

    found: list = []
    refused: dict = {}
    why_none = "no model is installed"
    for role in (bundle.COOLING, bundle.ANOMALY):
        gc.collect()
        try:
            found.append(bundle.load(role, parts.root + "/models"))
        except bundle.NoBundleError:
            found.append(None)
        except Exception as error:
            # Refused, and the thermostat takes over; a model must never keep the board from work.
            found.append(None)
            refused[role] = "%s model refused: %s" % (role, error)
            if role == bundle.COOLING:
                why_none = "its model was refused"
    forget_loader()
    parts.boot_state.refused = list(refused)
    parts.problems += refused.values()
    if refused and _withdrawn(parts.boot_state, refused):
        raise bundle.BundleError("; ".join(refused.values()))
    return found, why_none


def _withdrawn(state, refused):
    # Whether the set before is better off with its models, and runs again from the next boot on.
    trial = state.trial
    if not (trial and trial.record and trial.record[2].isdigit()):
        return False
    gc.collect()
    try:
        from .rare.comparison import new_faults

        better = new_faults(trial.record, refused, state.refused_before)
    except NOT_TO_BE_HAD:
        return False
    finally:
        release()
    return better and trial.withdraw()


def _think(parts, found, no_model):
    from .cognition.mind import Mind

    parts.mind = Mind(found[0], found[1], no_model)


def _connect(parts, boot):
    from .communication.backlog import Backlog
    from .communication.link import SerialLink
    from .communication.outbox import Outbox
    from .communication.reporter import Reporter
    from .communication.spool import Spool

    parts.link = SerialLink()
    parts.mqtt = _mqtt(parts)
    if parts.mqtt:
        parts.link = parts.mqtt
    parts.backlog = Backlog()
    parts.outbox = Outbox(Spool())
    parts.reporter = Reporter(
        boot, parts.uptime, parts.wall, parts.link, parts.outbox, parts.backlog
    )


def _mqtt(parts):
    # The link over a broker, or None: then the console is the link.
    if not parts.speaks_mqtt:
        if parts.config.link == "mqtt":
            parts.problems.append("the link mqtt is left out: too many boots in a row failed")
        return None
    try:
        import network  # type: ignore[import-not-found]

        from .communication.mqtt.link import CA_FILE, MqttLink, secrets

        try:
            passwords = secrets()
        except (OSError, ValueError, RuntimeError) as error:
            passwords = {}
            parts.problems.append("/secrets.json cannot be read (%s): deploy passwords" % error)
        if parts.config.mqtt["tls"] and CA_FILE[1:] not in os.listdir("/"):
            parts.problems.append("/ca.der is not there: deploy with a ca_file")
        return MqttLink(parts.link, parts.config, passwords, network.WLAN)
    except Exception as error:
        parts.problems.append("the link mqtt cannot be used: %s" % error)
        return None


def _relay(machine, config, now_ms):
    from .action.relay import Relay, pin_level
    from .health import NoPin

    wiring = config.relay
    if not wiring:
        pin, wiring = NoPin(), {"contact": "nc", "active": "high"}
    else:
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
