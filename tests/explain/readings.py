"""Feature values of the periods that explanation tests look at."""

READINGS = {
    "warming": {
        "case_mc": 44310,
        "ambient_mc": 23100,
        "power_mw": 6120,
        "power_avg_mw": 4980,
        "trend_mk": 610,
        "fan_rpm": 0,
    },
    "cooling down": {
        "case_mc": 43000,
        "ambient_mc": 24500,
        "power_mw": 2500,
        "power_avg_mw": 4100,
        "trend_mk": -1900,
        "fan_rpm": 2970,
    },
    "out of range": {
        "case_mc": 200_000,
        "ambient_mc": -60_000,
        "power_mw": 99_000,
        "power_avg_mw": 99_000,
        "trend_mk": 50_000,
        "fan_rpm": 60_000,
    },
}
ALARM_READINGS = {
    "rise_mk": 21_000,
    "power_mw": 6_000,
    "power_avg_mw": 5_900,
    "trend_mk": 700,
    "fan_rpm": 0,
    "fan_pm": 1000,
    "residual_mk": 3_800,
}
