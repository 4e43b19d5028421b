"""Commands from outside: checked against one table, then handed to a method of their name.

    answer = run(frame, Actions(app, frame.get("id")))  # {"id", "ok", "msg"} and sometimes "data"

`target` has a method cmd_<name>(args), without a -, that returns (ok, message, data or None), or
None where it answers later. What is wrong with a frame is answered, never raised.
"""

from agent.decision.override import MAX_S
from agent.decision.records import reason

# name: ((argument, lowest, highest), ...); None means the target knows the bounds.
COMMANDS = {
    "override": (("fan", 0, 1), ("for_s", 1, MAX_S)),
    "auto": (),
    "explain": (),
    "rebirth": (),
    "ping": (),
    "set_limit": (("limit_mc", -(1 << 29), 1 << 29),),
    "reboot": (),
    "self-test": (),
}
MAX_ID = 32
REBOOT_DELAY_MS = 300


def run(frame, target):
    """The answer to a `cmd` frame, or None where it comes later."""
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
    told = getattr(target, "cmd_" + name.replace("-", ""))(args)
    return _answer(id, *told) if told else None


def _takes(name):
    return ", ".join([row[0] for row in COMMANDS[name]]) or "none"


def _answer(id, ok, msg, data=None):
    answer = {"t": "rsp", "id": id, "ok": ok, "msg": msg}
    if data is not None:
        answer["data"] = data
    return answer


class Actions:
    """The commands, for an App. Arguments have been checked against COMMANDS.

    id: of the command, for those that answer later.
    """

    def __init__(self, app, id):
        self._app = app
        self._id = id

    def cmd_override(self, args):
        self._app.override.set(args["fan"], args["for_s"], self._app.uptime.ms())
        return True, "fan %s for %d s" % ("on" if args["fan"] else "off", args["for_s"]), None

    def cmd_auto(self, args):
        self._app.override.clear()
        return True, "no override", None

    def cmd_explain(self, args):
        self._app.trigger.requested = True
        situation = self._app.situation
        why = reason(situation, self._app.ask)
        return True, "a decision record follows", {"rule": situation.rule, "why": why}

    def cmd_rebirth(self, args):
        self._app.greet()
        return True, "hello sent", None

    def cmd_ping(self, args):
        return True, "here", None

    def cmd_set_limit(self, args):
        low = self._app.config.limit_low_mc
        high = self._app.config.limit_high_mc
        limit_mc = args["limit_mc"]
        if not low <= limit_mc <= high:
            return False, "limit_mc: a number from %d to %d is needed" % (low, high), None
        from agent.rare.words import celsius

        self._app.situation.limit_mc = limit_mc
        return True, "limit %s until the next start" % celsius(limit_mc), None

    def cmd_reboot(self, args):
        self._app.reboot_ms = self._app.uptime.ms() + REBOOT_DELAY_MS
        return True, "restarting", None

    def cmd_selftest(self, args):
        app = self._app
        if app.self_test:
            return False, "a self-test is under way", None
        if not app.mind.cooling and not app.mind.anomaly:
            return False, "no model is in use", None
        from agent.rare.self_test import SelfTest

        app.self_test = SelfTest(self._id, app.mind, app.uptime.ms())
        return None
