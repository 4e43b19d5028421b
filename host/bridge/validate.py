"""What a board sent, checked and bounded before it reaches the store, MQTT or the page.

Pure: values in, values out. A frame is at most 4 KB of JSON, so the bounds here are about shape.
"""

import re
from typing import Any

from host.bridge.errors import InvalidFrame

DEVICE = re.compile(r"[a-z0-9_-]{1,32}")
DURABLE = ("dec", "alarm")
VOLATILE = ("hello", "tel", "rsp", "health", "log", "bye")
FROM_HOST = ("ack", "clock", "cmd")
RULES = ("sensor_loss", "overtemp", "override", "forecast", "thermostat", "boot")
HELD = ("min_on", "min_off", "max_run")
ALARM_KINDS = ("anomaly", "sensor", "overtemp", "fan", "restart")

# What JavaScript holds exactly.
INT_MAX = 2**53 - 1
AT_MAX = 2**33
SLEEP_MAX_S = 7 * 86400
MAX_TEXT = 400
MAX_KEY = 40
MAX_ITEMS = 64
MAX_DEPTH = 6
MAX_FEATURES = 16
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")

Frame = dict[str, Any]


def bounded(value: Any, depth: int = 0) -> Any:
    """`value` with every text, list, object and number inside the limits above.

    Text is cut and loses control characters; anything else out of bounds raises InvalidFrame.
    """
    # As JSON gives them: exact types. Most of the bridge's work per frame is in here, so what is
    # in order is seen without a call for each value.
    kind = type(value)
    if kind is dict or kind is list:
        if depth >= MAX_DEPTH:
            raise InvalidFrame(f"nested deeper than {MAX_DEPTH}")
        if len(value) > MAX_ITEMS:
            raise InvalidFrame(f"a list or object of more than {MAX_ITEMS} members")
        depth += 1
        if kind is list:
            return [
                item if type(item) is int and -INT_MAX <= item <= INT_MAX else bounded(item, depth)
                for item in value
            ]
        for key in value:
            if len(key) > MAX_KEY or not key.isprintable():
                raise InvalidFrame("a member name that is too long or not printable")
        return {
            key: item
            if item is None or (type(item) is int and -INT_MAX <= item <= INT_MAX)
            else bounded(item, depth)
            for key, item in value.items()
        }
    if kind is str:
        if len(value) <= MAX_TEXT and value.isprintable():
            return value
        return UNPRINTABLE.sub(" ", value)[:MAX_TEXT]
    # A float that is no number is in no order with any.
    if value is None or kind is bool or -INT_MAX <= value <= INT_MAX:
        return value
    raise InvalidFrame("a number beyond 53 bits")


def frame(obj: Frame) -> Frame:
    """A checked copy of a frame from a board. Raises InvalidFrame with what is wrong."""
    checked: Frame = bounded(obj)
    kind = checked["t"]
    _integer(checked, "boot", 0, INT_MAX)
    _integer(checked, "seq", 1, INT_MAX)
    _integer(checked, "ms", 0, INT_MAX)
    if checked.get("at") is not None:
        _integer(checked, "at", 0, AT_MAX)
    check = CHECKS.get(kind)
    if check is None:
        raise InvalidFrame(f"unknown type {kind!r}")
    check(checked)
    return checked


def _integer(obj: Frame, key: str, low: int, high: int) -> int:
    value = obj.get(key)
    if type(value) is not int or not low <= value <= high:
        raise InvalidFrame(f"{key}: expected an integer from {low} to {high}")
    return value


def _numbers(obj: Frame, keys: tuple[str, ...]) -> None:
    for key in keys:
        value = obj.get(key)
        if value is not None and type(value) is not int and type(value) is not float:
            raise InvalidFrame(f"{key}: expected a number or null")


def _text(obj: Frame, key: str, required: bool = False) -> None:
    value = obj.get(key)
    if not isinstance(value, str) and (required or value is not None):
        raise InvalidFrame(f"{key}: expected text")


def _one_of(obj: Frame, key: str, choices: tuple[Any, ...]) -> None:
    value = obj.get(key)
    if type(value) is bool or value not in choices:
        raise InvalidFrame(f"{key}: expected one of {', '.join(map(str, choices))}")


def _hello(obj: Frame) -> None:
    if not isinstance(obj.get("dev"), str) or not DEVICE.fullmatch(obj["dev"]):
        raise InvalidFrame("dev: expected 1 to 32 of a-z, 0-9, _ and -")
    for key in ("fw", "board", "cause"):
        value = obj.get(key)
        if isinstance(value, list | dict):
            raise InvalidFrame(f"{key}: expected text or a number")
    models = obj.get("models")
    if models is not None and not (
        isinstance(models, dict) and all(v is None or isinstance(v, str) for v in models.values())
    ):
        raise InvalidFrame("models: expected an object of texts")
    _numbers(obj, ("free", "limit_mc", "queued", "dropped"))


TEL_NUMBERS = (
    "case_mc", "ambient_mc", "supply_mv", "current_ma", "power_mw", "fan_rpm",
    "fc_off_mc", "fc_on_mc", "score", "thr", "ov", "drop",
)  # fmt: skip


def _tel(obj: Frame) -> None:
    _numbers(obj, TEL_NUMBERS)
    _text(obj, "rule")
    for key in ("fan", "anom"):
        _one_of(obj, key, (0, 1, None))


def _dec(obj: Frame) -> None:
    readings = obj.get("in")
    if not isinstance(readings, dict):
        raise InvalidFrame("in: expected an object")
    _numbers(readings, tuple(readings))
    _numbers(obj, ("limit_mc", "fc_off_mc", "fc_on_mc", "score", "thr", "anom"))
    _one_of(obj, "rule", RULES)
    _one_of(obj, "ask", (0, 1))
    _one_of(obj, "set", (0, 1))
    _one_of(obj, "held", (*HELD, None))
    _text(obj, "why", required=True)
    _text(obj, "model")
    _text(obj, "amodel")
    _phi(obj.get("phi"))


def _alarm(obj: Frame) -> None:
    _one_of(obj, "kind", ALARM_KINDS)
    _one_of(obj, "on", (0, 1))
    _text(obj, "why", required=True)
    _text(obj, "of")
    _phi(obj.get("phi"))


def _phi(phi: Any) -> None:
    if phi is None:
        return
    if not isinstance(phi, dict):
        raise InvalidFrame("phi: expected an object or null")
    names, num = phi.get("names"), phi.get("num")
    if not (isinstance(names, list) and isinstance(num, list) and len(names) == len(num)):
        raise InvalidFrame("phi: names and num must be lists of one length")
    if not 1 <= len(names) <= MAX_FEATURES or not all(isinstance(n, str) and n for n in names):
        raise InvalidFrame(f"phi: expected 1 to {MAX_FEATURES} names")
    if not all(type(n) is int for n in num):
        raise InvalidFrame("phi: num must be integers")
    _integer(phi, "den", 1, INT_MAX)
    _integer(phi, "base_num", -INT_MAX, INT_MAX)
    _integer(phi, "err", -INT_MAX, INT_MAX)
    _numbers(phi, ("lsb",))
    if phi.get("lsb") is None:
        raise InvalidFrame("phi: lsb: expected a number")
    for key in ("of", "unit"):
        _text(phi, key, required=True)
    _text(phi, "bid")


def _rsp(obj: Frame) -> None:
    if not isinstance(obj.get("id"), str) or len(obj["id"]) > 32:
        raise InvalidFrame("id: expected text of at most 32 characters")
    obj["ok"] = bool(obj.get("ok"))


def _health(obj: Frame) -> None:
    _numbers(obj, ("free", "min_free", "loop_ms", "err", "up_s"))


def _log(obj: Frame) -> None:
    _text(obj, "msg", required=True)


def _bye(obj: Frame) -> None:
    _integer(obj, "sleep_s", 1, SLEEP_MAX_S)


CHECKS = {
    "hello": _hello,
    "tel": _tel,
    "dec": _dec,
    "alarm": _alarm,
    "rsp": _rsp,
    "health": _health,
    "log": _log,
    "bye": _bye,
}
