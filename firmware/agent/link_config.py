"""The settings `wifi` and `mqtt` of a board that speaks over a broker; loaded where there are any.

Passwords are none of them: /secrets.json.
"""

from .rare.addresses import is_address, is_private

# key, type, lowest, highest (of a number, or of a text's length), default (None: must be given)
WIFI = (("ssid", str, 1, 32, None),)
MQTT = (
    ("host", str, 1, 64, None),
    ("port", int, 1, 65535, 0),
    ("tls", bool, 0, 0, False),
    ("user", str, 0, 64, ""),
    ("keepalive_s", int, 10, 600, 30),
    ("in_clear", bool, 0, 0, False),
    ("ntp", str, 1, 64, "pool.ntp.org"),
)
PORTS = (1883, 8883)  # without and with TLS
# Endings of names that mean nothing outside a network of one's own: RFC 6762, 8375, 9476 and use.
_LOCAL = (".local", ".home.arpa", ".internal", ".lan", ".home", ".localdomain")
_HOST_CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."


def wifi(raw, problems):
    """The checked table."""
    return _table("wifi", raw, WIFI, problems)


def mqtt(raw, problems):
    """The checked table; `port` is the usual one where none is given."""
    before = len(problems)
    table = _table("mqtt", raw, MQTT, problems)
    if len(problems) > before:
        return table
    for key in ("host", "ntp"):
        if not _is_host(table[key]):
            problems.append("mqtt.%s: %r is no name and no IPv4 address" % (key, table[key]))
    if len(problems) == before and not (
        table["tls"] or table["in_clear"] or _is_near(table["host"])
    ):
        problems.append(
            "mqtt.host: %s is not in a private network, where passwords would go in clear; set "
            "mqtt.tls, or mqtt.in_clear if that is what is wanted" % table["host"]
        )
    table["port"] = table["port"] or PORTS[table["tls"]]
    return table


def _table(name, raw, rows, problems):
    if not isinstance(raw, dict):
        problems.append("%s: {%s, ...} is needed" % (name, rows[0][0]))
        return {}
    table = {}
    for key, kind, low, high, default in rows:
        table[key] = value = raw.get(key, default)
        if key not in raw and default is not None:
            continue
        good = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
        if good and kind is not bool:
            size = value if kind is int else len(value.encode())
            good = low <= size <= high and not (kind is str and "\0" in value)
        if not good:
            words = {int: "a number from", str: "a text of", bool: "true or false"}[kind]
            if kind is not bool:
                words += " %d to %d" % (low, high) + (" bytes" if kind is str else "")
            given = "missing" if value is None else "%r" % (value,)
            problems.append("%s.%s: %s, %s is needed" % (name, key, given, words))
    for key in raw:
        if key not in table:
            problems.append("%s.%s: there is no such setting" % (name, key))
    return table


def _is_host(host):
    if [c for c in host if c not in _HOST_CHARS]:
        return False
    labels = host.split(".")
    return not [label for label in labels if not 0 < len(label) < 64]


def _is_near(host):
    if is_address(host):
        return is_private(host)
    return "." not in host or bool([end for end in _LOCAL if host.lower().endswith(end)])
