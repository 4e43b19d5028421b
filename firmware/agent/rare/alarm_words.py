"""What an alarm says, by its kind, whether it was raised or cleared, and what it is about."""


def anomaly(raised, score, threshold):
    words = (
        "Anomaly because the readings are unlike normal operation"
        if raised
        else "Anomaly over because the readings are like normal operation again"
    )
    return "%s: score %d, threshold %d" % (words, score, threshold)


def sensor(raised, name, reason):
    if raised:
        return "Sensor %s lost because %s" % (name, reason)
    return "Sensor %s back because it gives readings again" % name


def overtemp(raised, case_mc, trip_mc):
    from agent.rare.words import celsius

    return "Overtemperature%s because the case is at %s, %s the trip point %s" % (
        "" if raised else " over",
        celsius(case_mc),
        "at or above" if raised else "below",
        celsius(trip_mc),
    )


def fan(raised, fault):
    return "Fan fault because " + fault if raised else "Fan well because it obeys again"


def restart(raised):
    if raised:
        return "Restart because the watchdog found the program hung or failing"
    return "Restart over because the program has run well for a minute"


KINDS: dict = {
    "anomaly": anomaly,
    "sensor": sensor,
    "overtemp": overtemp,
    "fan": fan,
    "restart": restart,
}
