"""The telemetry frame (docs/frames.md): how things are, each period."""


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
