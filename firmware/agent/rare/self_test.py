"""The command self-test: are the models in use still those that were loaded, and do they compute
what TFLite-Micro does?
"""

import json
from binascii import hexlify
from hashlib import sha256

from agent.cognition import golden
from agent.plain import unload

ROLES = ("cooling", "anomaly")
BLOCK = 2048  # bytes of a model's file that are hashed per look


class SelfTest:
    """Of every model: the checksum of its file in memory, and each golden row of its manifest,
    which is read from flash for the purpose, on the kernels in use.

    `work()` does a piece that keeps no control period waiting: reads one manifest, hashes one
    block, or runs one row. Nothing is left in a model that a period or an explanation builds on, as
    either writes all inputs before it runs. Once all is done `tell()` says what came of it.
    """

    def __init__(self, id, mind, now_ms):
        self._id = id
        self._result: dict = {"ok": 1}  # the block self_test of docs/frames.md
        self._faults: list = []  # (role, why)
        self._told: list = []
        self._began_ms = now_ms
        self._pieces = self._all(mind)

    def work(self):
        """One piece; True once there is none left."""
        for _ in self._pieces:
            return False
        return True

    def tell(self, app):
        """Puts the models at fault out of use, keeps the result for `health`, and answers."""
        now_ms = app.uptime.ms()
        result = self._result
        result["ms"] = now_ms - self._began_ms
        result["at"] = app.parts.wall.at(now_ms)
        for role, why in self._faults:
            subject = getattr(app.mind, role)
            app.mind.put_out_of_use(role, "its model failed the self-test")
            app.recorder.forget(subject)
            if role == "anomaly":
                app.alarms.withdraw_anomaly("Anomaly over because its model failed the self-test")
            app.parts.problems.append("%s model out of use: %s" % (role, why))
        app.health.self_test = result
        app.reporter.say(
            {
                "t": "rsp",
                "id": self._id,
                "ok": bool(result["ok"]),
                "msg": "; ".join(self._told),
                "data": result,
            }
        )
        if self._faults:
            app.greet()
        unload(("agent.cognition.golden",))

    def _all(self, mind):
        for role in ROLES:
            subject = getattr(mind, role)
            if subject is None:
                continue
            bundle = subject.bundle
            self._result["kernels"] = bundle.model.kernels
            try:
                wanted, rows = _from_flash(bundle)
            except (OSError, MemoryError, ValueError, KeyError, TypeError) as error:
                # That says nothing about the model in use, which goes on working.
                self._result["ok"] = 0
                self._result[role] = None
                self._told.append("%s not tested: %s" % (role, error))
                continue
            yield
            digest = sha256()
            view = memoryview(bundle.file)
            for start in range(0, len(view), BLOCK):
                digest.update(view[start : start + BLOCK])
                yield
            fault = ""
            if hexlify(digest.digest()).decode() != wanted:
                fault = "its file in memory has changed since it was loaded"
            count = self._result[role] = [0, 0]
            for row in rows:
                wrong = _wrong(bundle.model, row)
                count[0] += 1
                if wrong:
                    count[1] += 1
                    fault = fault or "golden row %d %s" % (count[0], wrong)
                yield
            if fault:
                self._result["ok"] = 0
                self._faults.append((role, fault))
            self._told.append("%s: %s" % (role, fault or "%d golden rows equal" % count[0]))


def _from_flash(bundle):
    # (checksum, golden rows) of the model in use
    with open(bundle.folder + "/manifest.json") as file:
        manifest = json.load(file)
    name = "%s@%d" % (manifest["id"], manifest["version"])
    if name != bundle.name:
        raise ValueError("on flash is %s, in use %s: restart to use it" % (name, bundle.name))
    return manifest["sha256"], golden.rows(manifest["golden"], bundle.model)


def _wrong(model, row):
    # What is wrong with a row, or ""
    try:
        found = golden.difference(model, row)
    except Exception as error:  # what damaged tables may lead to
        return "ends in %s: %s" % (type(error).__name__, error)
    return "gives %d, not %d" % found if found else ""
