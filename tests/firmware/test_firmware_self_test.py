"""The command self-test: golden rows and checksums of the models in use, between periods."""

import hashlib
import json

import pytest
from firmware_world import BOARD, BUNDLES, HotBox
from test_firmware_on_vm import LEAST_FREE_KB, patched_main

from agent.cognition import golden
from agent.cognition.engine import Model
from agent.communication.frames import encode
from agent.decision.alarms import Alarms
from agent.decision.records import Recorder

pytestmark = pytest.mark.vm

DAMAGE = """
    from agent.app import App
    old = App._record
    def record(self, now_ms):
        if now_ms >= 8000 and self.mind.%s:
            self.mind.%s.bundle.file[%d] = %d
        old(self, now_ms)
    App._record = record
"""


def manifest_of(role):
    return json.loads((BUNDLES / role / "manifest.json").read_text())


def damage(role):
    """(offset, value) of a byte that, changed in memory, changes what golden rows come to."""
    data = bytearray((BUNDLES / role / "model.tflite").read_bytes())
    model = Model(data, keep_inputs=True)
    rows = golden.rows(manifest_of(role)["golden"], model)
    for at in range(len(data)):
        data[at] ^= 0x80
        if golden.difference(model, rows[0]):
            return at, data[at]
        data[at] ^= 0x80
    raise AssertionError("no byte of the model matters")


def test_a_self_test_passes_and_disturbs_nothing(world):
    w = world(machine=HotBox(40.0))
    w.run(5)
    w.write(encode({"t": "clock", "at": 1795258800}))
    w.run(60)
    before = w.of("health")[-1]
    assert "self_test" not in before
    records = len(w.of("dec"))
    for _ in range(10):
        assert w.command("explain")["ok"]
        w.until(lambda: w.of("tel")[-1]["ms"] % 5000 == 0, 6, 0.02)  # the explanation has begun
        w.write(encode({"t": "cmd", "id": "x", "name": "self-test", "args": {}}))
        second = w.command("self-test")
        assert (second["ok"], second["msg"]) == (False, "a self-test is under way")
        w.until(lambda: w.of("rsp")[-1]["id"] == "x", 5)
        answer = w.of("rsp")[-1]
        assert answer["msg"] == "cooling: 3 golden rows equal; anomaly: 3 golden rows equal"
        data = answer["data"]
        assert (data["ok"], data["cooling"], data["anomaly"]) == (1, [3, 0], [3, 0])
        assert data["kernels"] == "portable"
        assert 0 < data["ms"] < 2000
        assert data["at"] == pytest.approx(1795258800 + w.now_s, abs=10)
    w.run(61, 0.5)
    after = w.of("health")[-1]
    assert after["self_test"] == data
    assert before["free"] - after["free"] < 1024
    assert after["min_free"] >= LEAST_FREE_KB * 1024
    assert (after["err"], after["late"]) == (0, 0)
    assert w.periods() == {1000}
    explained = w.of("dec")[records:]
    assert len(explained) >= 10
    assert all(record["phi"] and record["phi"]["err"] == 0 for record in explained)
    assert {frame["rule"] for frame in w.of("tel")[3:]} == {"forecast"}


@pytest.mark.parametrize(
    ("role", "hidden", "words"),
    [
        ("cooling", False, "its file in memory has changed"),
        ("cooling", True, "golden row 1 gives"),
        ("anomaly", False, "its file in memory has changed"),
    ],
)
def test_a_damaged_model_is_found_and_put_out_of_use(world, role, hidden, words):
    """hidden: the manifest on flash has the checksum of the damaged file."""
    at, value = damage(role)
    w = world(files=patched_main(DAMAGE % (role, role, at, value)))
    w.run(6)
    assert w.command("self-test")["ok"]
    if hidden:
        data = bytearray((BUNDLES / role / "model.tflite").read_bytes())
        data[at] = value
        manifest = {**manifest_of(role), "sha256": hashlib.sha256(data).hexdigest()}
        (w.flash / "models" / role / "manifest.json").write_text(json.dumps(manifest))
    w.run(4)
    answer = w.command("self-test")
    assert answer["ok"] is False
    assert words in answer["msg"]
    assert answer["data"]["ok"] == 0
    assert answer["data"][role][1] >= 1
    w.run(2)
    other = "anomaly" if role == "cooling" else "cooling"
    assert answer["data"][other] == [3, 0]
    assert set(w.of("hello")[-1]["models"]) == {other}
    assert f"{role} model out of use: " in w.of("log")[-1]["msg"]
    tel = w.of("tel")[-1]
    if role == "cooling":
        assert (tel["rule"], tel["fc_off_mc"]) == ("thermostat", None)
        assert "its model failed the self-test" in w.of("dec")[-1]["why"]
    else:
        assert (tel["rule"], tel["score"], tel["thr"]) == ("forecast", None, None)
    again = w.command("self-test")
    assert (again["ok"], role in again["data"]) == (True, False)
    w.run(50, 0.5)
    assert w.of("health")[-1]["self_test"] == again["data"]
    assert w.periods() == {1000}
    assert len(w.board.resets) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: {**m, "version": m["version"] + 1}, "restart to use it"),
        (lambda m: {**m, "golden": []}, "no golden rows"),
        (lambda m: [], "cooling not tested"),
    ],
)
def test_what_lies_on_flash_by_now_is_no_reason_to_drop_a_model(world, change, words):
    w = world(heap_kb=BOARD.heap_kb)
    w.run(4)
    path = w.flash / "models" / "cooling" / "manifest.json"
    path.write_text(json.dumps(change(manifest_of("cooling"))))
    answer = w.command("self-test")
    assert answer["ok"] is False
    assert words in answer["msg"]
    assert (answer["data"]["cooling"], answer["data"]["anomaly"]) == (None, [3, 0])
    w.run(2)
    assert w.of("tel")[-1]["rule"] == "forecast"
    assert not w.of("log")


def test_there_is_nothing_to_test_without_models(world):
    w = world(models=False)
    w.run(3)
    answer = w.command("self-test")
    assert (answer["ok"], answer["msg"]) == (False, "no model is in use")


def test_an_anomaly_alarm_ends_with_its_model():
    told = []
    alarms = Alarms(lambda *what: told.append(what), [], 1000, 2, False)
    alarms.withdraw_anomaly("nothing was raised")
    for _ in range(2):
        alarms.judge_anomaly(9, 5)
    alarms.withdraw_anomaly("its model is gone")
    assert [what[:2] for what in told] == [("anomaly", True), ("anomaly", False)]
    assert told[-1][2] == "its model is gone"
    assert not alarms.anomaly


def test_what_waits_for_an_explanation_goes_out_when_its_model_is_put_out_of_use():
    class Explainer:
        busy = False

        def forget(self, subject):
            self.forgotten = subject

    class Subject:
        class features:
            row = (1, 2)

    sent = []
    explainer, subject = Explainer(), Subject()
    recorder = Recorder(explainer, sent.append)
    recorder.add({"t": "dec", "why": "Fan on"}, subject, "; held")
    recorder.forget(subject)
    recorder.work()
    assert sent == [{"t": "dec", "why": "Fan on; held"}]
    assert explainer.forgotten is subject
