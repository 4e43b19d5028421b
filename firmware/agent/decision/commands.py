"""Commands from outside: checked against one table, then handed to a method of their name.

    answer = run(frame, target)     # {"id", "ok", "msg"} and sometimes "data"

`target` has a method cmd_<name>(args) that returns (ok, message, data or None). What is wrong with
a frame is answered, never raised.
"""

from .override import MAX_S

# name: ((argument, lowest, highest), ...); None means the target knows the bounds.
COMMANDS = {
    "override": (("fan", 0, 1), ("for_s", 1, MAX_S)),
    "auto": (),
    "explain": (),
    "rebirth": (),
    "ping": (),
    "set_limit": (("limit_mc", -(1 << 29), 1 << 29),),
    "reboot": (),
}
MAX_ID = 32


def run(frame, target):
    """The answer to a `cmd` frame."""
    id = frame.get("id")
    if not isinstance(id, str) or not 0 < len(id) <= MAX_ID:
        return _answer(None, False, "id: 1 to %d characters are needed" % MAX_ID)
    name = frame.get("name")
    if not isinstance(name, str) or name not in COMMANDS:
        known = ", ".join(sorted(COMMANDS))
        return _answer(id, False, "unknown command; known are %s" % known)
    args = frame.get("args", {})
    if not isinstance(args, dict):
        return _answer(id, False, "args: an object is needed")
    for key, low, high in COMMANDS[name]:
        value = args.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            return _answer(id, False, "%s: a number from %d to %d is needed" % (key, low, high))
    for key in args:
        if not [row for row in COMMANDS[name] if row[0] == key]:
            return _answer(id, False, "%s has no such argument; it takes %s" % (name, _takes(name)))
    ok, msg, data = getattr(target, "cmd_" + name)(args)
    return _answer(id, ok, msg, data)


def _takes(name):
    return ", ".join([row[0] for row in COMMANDS[name]]) or "none"


def _answer(id, ok, msg, data=None):
    answer = {"t": "rsp", "id": id, "ok": ok, "msg": msg}
    if data is not None:
        answer["data"] = data
    return answer
