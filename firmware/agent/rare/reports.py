"""The frames hello and health (docs/frames.md)."""

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
    frame = {
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
    if app.mqtt:
        frame["link"] = app.mqtt.report(app.uptime.ms())
    trial = parts.boot_state.trial
    if trial and trial.id:
        frame["set"] = trial.id
    if trial and trial.failed:
        frame["failed"] = trial.failed
    return frame


def vitals(app, now_ms):
    """One minute."""
    health = app.health
    outbox = app.outbox
    frame = {
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
    if app.mqtt:
        frame["link"] = app.mqtt.report(now_ms)
    if health.self_test:
        frame["self_test"] = health.self_test
    return frame
