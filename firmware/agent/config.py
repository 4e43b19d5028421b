"""The device's settings, /config.json: read once, checked at once, every problem named.

The host writes the file (host/devices/boards.py) and checks it with the same code.
"""

import json

from .plain import copy

PATH = "/config.json"

# name, lowest, highest, default
INTEGERS = (
    ("period_ms", 1000, 10000, 1000),
    ("wdt_ms", 4000, 60000, 8000),
    ("limit_mc", 20000, 90000, 45000),
    ("trip_mc", 25000, 110000, 55000),
    ("hysteresis_mk", 200, 10000, 1000),
    ("anomaly_margin_mk", 0, 10000, 1000),
    ("min_on_s", 0, 3600, 30),
    ("min_off_s", 0, 3600, 30),
    ("max_run_s", 0, 86400, 0),
)
NAMES = ("device", "site", "board")
LINKS = ("serial", "mqtt")
_LINK_TABLES = ("link", "wifi", "mqtt")  # link_config.py
RELAY = (("contact", ("nc", "no"), "nc"), ("active", ("high", "low"), "high"))
PIN = (0, 48, None)
# driver: member: lowest, highest, default (None: must be given)
DRIVERS = {
    "ds18b20": {"pin": PIN},
    "ntc": {
        "pin": PIN,
        "r_fixed_ohm": (100, 1000000, 10000),
        "r25_ohm": (100, 1000000, 10000),
        "beta_k": (1000, 6000, 3950),
        "vref_mv": (1000, 3600, 3300),
    },
    "ina219": {
        "sda": PIN,
        "scl": PIN,
        "addr": (0x40, 0x4F, 0x40),
        "shunt_mohm": (1, 10000, 100),
    },
    "tach": {"pin": PIN, "pulses_per_rev": (1, 16, 2)},
}
ROLES = {
    "case": ("ds18b20", "ntc"),
    "ambient": ("ntc", "ds18b20"),
    "power": ("ina219",),
    "fan": ("tach",),
}
_PINS = ("pin", "sda", "scl")
_NAME_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789_-"
# The trip point lies at least this far above any limit, so that the model has room to act in.
TRIP_ABOVE_LIMIT_MK = 1000


class ConfigError(Exception):
    """`problems`: one message each, all there are."""

    def __init__(self, problems):
        super().__init__("; ".join(problems))
        self.problems = problems


class Config:
    """Checked settings as attributes named like the members of /config.json.

    `relay` is {pin, contact, active}; `sensors` maps case, ambient, power and fan to {driver, ...};
    `wifi` and `mqtt` are None where `link` is "serial".
    Raises ConfigError with everything that is wrong with `raw`.
    """

    def __init__(self, raw):
        problems: list = []
        if not isinstance(raw, dict):
            raise ConfigError(["the settings are not a JSON object"])
        known = [row[0] for row in INTEGERS]
        for key in raw:
            if key not in known + list(NAMES + _LINK_TABLES) + ["relay", "sensors"]:
                problems.append("%s: there is no such setting" % key)
        for key in NAMES:
            setattr(self, key, _name(raw, key, problems))
        for key, low, high, default in INTEGERS:
            setattr(self, key, _integer("", raw, key, low, high, default, problems))
        self.relay = _relay(raw.get("relay"), problems)
        self.sensors = _sensors(raw.get("sensors"), problems)
        self.link, self.wifi, self.mqtt = _link(raw, problems)
        if not problems:
            self._check_together(problems)
        if problems:
            raise ConfigError(problems)
        self.limit_low_mc, self.limit_high_mc = _limit_bounds(self.trip_mc)  # type: ignore[attr-defined]

    def _check_together(self, problems):
        if self.trip_mc < self.limit_mc + TRIP_ABOVE_LIMIT_MK:  # type: ignore[attr-defined]
            problems.append(
                "trip_mc is %d, at least limit_mc + %d is needed"
                % (self.trip_mc, TRIP_ABOVE_LIMIT_MK)  # type: ignore[attr-defined]
            )
        if self.wdt_ms < 3 * self.period_ms:  # type: ignore[attr-defined]
            problems.append("wdt_ms is %d, at least 3 * period_ms is needed" % self.wdt_ms)  # type: ignore[attr-defined]
        used = {self.relay["pin"]: "relay.pin"}
        for role in ROLES:
            sensor = self.sensors.get(role, {})
            for key in _PINS:
                pin = sensor.get(key)
                if pin is None:
                    continue
                if pin in used:
                    problems.append("sensors.%s.%s: pin %d is %s" % (role, key, pin, used[pin]))
                used[pin] = "sensors.%s.%s" % (role, key)


def _limit_bounds(trip_mc):
    for key, low, high, _ in INTEGERS:
        if key == "limit_mc":
            return low, min(high, trip_mc - TRIP_ABOVE_LIMIT_MK)
    raise KeyError("limit_mc")


def _plain(settings):
    names = [row[0] for row in INTEGERS] + list(NAMES)
    names += ["relay", "sensors", "limit_low_mc", "limit_high_mc"]
    return copy(settings, names + list(_LINK_TABLES))


def load(path=PATH):
    """The settings of a file. Raises ConfigError, also where it cannot be read."""
    try:
        with open(path) as file:
            raw = json.load(file)
    except OSError as error:
        raise ConfigError(["%s cannot be read (%s): deploy the settings" % (path, error)])
    except (ValueError, RuntimeError):
        raise ConfigError(["%s is not JSON: deploy the settings again" % path])
    return _plain(Config(raw))


def fallback(path=PATH):
    """For a board whose own settings cannot be used: no sensor, so the fan runs."""
    return _plain(_Fallback(path))


class _Fallback:
    # Name and relay are taken from `path` where they are whole; `relay` is {} otherwise.
    def __init__(self, path):
        try:
            with open(path) as file:
                raw = json.load(file)
        except (OSError, ValueError, RuntimeError):
            raw = None
        if not isinstance(raw, dict):
            raw = {}
        for key, _, _, default in INTEGERS:
            setattr(self, key, default)
        for key in NAMES:
            problems: list = []
            name = _name(raw, key, problems)
            setattr(self, key, "unconfigured" if problems else name)
        problems = []
        relay = _relay(raw.get("relay"), problems)
        self.relay = {} if problems else relay
        self.sensors: dict = {}
        self.link, self.wifi, self.mqtt = LINKS[0], None, None
        self.limit_low_mc, self.limit_high_mc = _limit_bounds(self.trip_mc)  # type: ignore[attr-defined]


def _link(raw, problems):
    link = raw.get("link", LINKS[0])
    if link not in LINKS:
        problems.append("link: %r, %s is needed" % (link, " or ".join(LINKS)))
    if "wifi" not in raw and "mqtt" not in raw and link != LINKS[1]:
        return link, None, None
    from .link_config import mqtt, wifi

    tables = wifi(raw.get("wifi"), problems), mqtt(raw.get("mqtt"), problems)
    return (link,) + (tables if link == LINKS[1] else (None, None))


def _name(raw, key, problems):
    value = raw.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 32:
        problems.append("%s: a name of 1 to 32 characters is needed" % key)
    elif [c for c in value if c not in _NAME_CHARS]:
        problems.append("%s: %r has other characters than a-z 0-9 _ -" % (key, value))
    return value


def _integer(prefix, raw, key, low, high, default, problems):
    value = raw.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        given = "missing" if value is None else "%r" % (value,)
        problems.append(
            "%s%s: %s, a number from %d to %d is needed" % (prefix, key, given, low, high)
        )
    return value


def _relay(raw, problems):
    if not isinstance(raw, dict):
        problems.append("relay: {pin, contact, active} is needed")
        return {}
    relay = {"pin": _integer("relay.", raw, "pin", PIN[0], PIN[1], None, problems)}
    for key, choices, default in RELAY:
        relay[key] = raw.get(key, default)
        if relay[key] not in choices:
            problems.append("relay.%s: %r, %s is needed" % (key, relay[key], " or ".join(choices)))
    for key in raw:
        if key not in relay:
            problems.append("relay.%s: there is no such setting" % key)
    return relay


def _sensors(raw, problems):
    if not isinstance(raw, dict) or "case" not in raw:
        problems.append("sensors: {case: {driver, ...}, ...} is needed")
        return {}
    sensors = {}
    for role in raw:
        drivers = ROLES.get(role)
        if drivers is None:
            problems.append("sensors.%s: there is no such sensor" % role)
            continue
        given = raw[role]
        driver = given.get("driver") if isinstance(given, dict) else None
        if driver not in drivers:
            problems.append(
                "sensors.%s.driver: %r, %s is needed" % (role, driver, " or ".join(drivers))
            )
            continue
        prefix = "sensors.%s." % role
        members = DRIVERS[driver]
        sensor = {"driver": driver}
        for key in members:  # type: ignore[attr-defined]
            low, high, default = members[key]  # type: ignore[index]
            sensor[key] = _integer(prefix, given, key, low, high, default, problems)
        for key in given:
            if key not in sensor:
                problems.append("%s%s: there is no such setting" % (prefix, key))
        sensors[role] = sensor
    return sensors
