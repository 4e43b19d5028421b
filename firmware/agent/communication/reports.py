"""The frames that tell how things are: hello, telemetry, health (docs/frames.md)."""

from agent.version import VERSION


def hello(app):
    """Who the board is and what it can do."""
    mind = app.mind
    models = {}
    able = [channel.name for channel in app.sensors.fitted]
    if mind.cooling:
        models["cooling"] = mind.cooling.bundle.name
        able.append("forecast")
    if mind.anomaly:
        models["anomaly"] = mind.anomaly.bundle.name
        able.append("anomaly")
    parts = app.parts
    return {
        "t": "hello",
        "dev": app.config.device,
        "site": app.config.site,
        "fw": VERSION,
        "board": app.config.board,
        "cause": parts.cause,
        "models": models,
        "feat": able,
        "free": app.health.free,
        "limit_mc": app.situation.limit_mc,
        "safe": bool(parts.safe_mode),
        "queued": app.outbox.queued,
        "dropped": app.outbox.dropped,
    }


def telemetry(app, now_ms):
    """One period."""
    sensors = app.sensors
    mind = app.mind
    return {
        "t": "tel",
        "ms": now_ms,
        "case_mc": sensors.case.value,
        "ambient_mc": sensors.ambient.value,
        "supply_mv": sensors.supply_mv,
        "current_ma": sensors.current_ma,
        "power_mw": sensors.power.value,
        "fan_rpm": sensors.fan.value,
        "fan": app.relay.on,
        "fc_off_mc": mind.fc_off_mc,
        "fc_on_mc": mind.fc_on_mc,
        "score": mind.score,
        "thr": mind.anomaly.bundle.threshold if mind.anomaly else None,
        "anom": 1 if app.alarms.anomaly else 0,
        "rule": app.situation.rule,
        "ov": app.situation.override_left_s,
        "drop": app.parts.backlog.dropped,
    }


def vitals(app, now_ms):
    """One minute."""
    health = app.health
    outbox = app.outbox
    return {
        "t": "health",
        "free": health.free,
        "min_free": health.min_free,
        "loop_ms": health.take_worst_ms(),
        "late": health.late,
        "err": health.errors,
        "last_err": health.last_error,
        "up_s": now_ms // 1000,
        "crashes": app.parts.boot_state.crashes,
        "outbox": {
            "queued": outbox.queued,
            "spilled": outbox.spilled,
            "dropped": outbox.dropped,
        },
    }
