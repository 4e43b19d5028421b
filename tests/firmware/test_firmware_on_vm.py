"""The firmware as shipped, in the real VM with the board's heap, on register-level devices."""

import random
import textwrap

import pytest
from firmware_world import BOARD, ROOT, HotBox

from agent.communication.frames import encode
from host.simulation.board import Cause
from host.simulation.devices.base import Fault

pytestmark = pytest.mark.vm

PERIOD_S = 1.0
LEAST_FREE_KB = 20


def patched_main(code):
    """A main.py that changes the agent before it runs it."""
    return {
        "main.py": textwrap.dedent(code).encode() + b"\nexec(open('/real.py').read())\n",
        "real.py": (ROOT / "firmware" / "main.py").read_bytes(),
    }


def test_four_minutes_with_models(world):
    w = world()
    w.run(5)
    w.write(encode({"t": "clock", "at": 1795258800}))
    w.run(240, 0.5)
    hello = w.of("hello")[0]
    assert hello["dev"] == "b1"
    assert set(hello["models"]) == {"cooling", "anomaly"}
    assert (hello["safe"], hello["cause"]) == (False, "power_on")
    assert w.of("hello")[-1]["at"] == pytest.approx(1795258800, abs=2)

    # A period is a period, without drift.
    assert len(w.of("tel")) >= 243
    assert w.periods() == {1000}

    explained = [frame for frame in w.of("dec") if frame["phi"]]
    assert len(explained) >= 4
    for record in explained:
        phi = record["phi"]
        assert phi["err"] == 0
        change = phi["lsb"] * (phi["base_num"] + sum(phi["num"])) / phi["den"]
        assert record["in"]["case_mc"] + change == pytest.approx(record["fc_off_mc"], abs=2)
        assert record["rule"] == "forecast"
        assert " because " in record["why"]
    assert any("; mostly " in record["why"] for record in explained)

    health = w.of("health")[-1]
    assert (health["err"], health["late"], w.board.crashes) == (0, 0, 0), health
    assert health["min_free"] >= LEAST_FREE_KB * 1024
    assert health["outbox"]["queued"] == 0
    assert {frame["case_mc"] for frame in w.of("tel")[2:]} != {None}
    assert b"Traceback" not in w.text


def test_a_lost_case_sensor_means_fan_on_within_two_periods(world):
    w = world(machine=HotBox(30.0))
    w.run(10)
    w.fan_off()
    for _ in range(3):
        w.board.devices["ds18b20"].fault = Fault.UNPLUGGED
        lost = w.now_s
        assert w.until(lambda: w.machine.fan_powered, 5, 0.02) - lost <= 2 * PERIOD_S
        w.run(8)
        assert w.of("tel")[-1]["rule"] == "sensor_loss"
        assert (w.alarms("sensor")[-1]["on"], w.alarms("sensor")[-1]["of"]) == (1, "case")
        w.board.devices["ds18b20"].fault = Fault.NONE
        w.until(lambda: not w.machine.fan_powered, 30)
        w.run(7.3)
        assert w.alarms("sensor")[-1]["on"] == 0


@pytest.mark.parametrize("device", ["thermistor", "ina219", "tach"])
def test_other_sensors_may_come_and_go(world, device):
    w = world(machine=HotBox(30.0))
    w.run(10)
    reading = {"thermistor": "ambient_mc", "ina219": "power_mw", "tach": "fan_rpm"}[device]
    before = w.of("tel")[-1][reading]
    assert before is not None
    w.board.devices[device].fault = Fault.UNPLUGGED
    w.run(4)
    after = w.of("tel")[-1]
    if device == "tach":
        assert after["fan_rpm"] == 0  # a broken tachometer wire looks like a fan that stands still
    else:
        assert after[reading] is None
        assert after["rule"] == "thermostat"
    w.board.devices[device].fault = Fault.NONE
    w.board.devices[device].power_cycle()
    w.run(5)
    assert w.of("tel")[-1][reading] == pytest.approx(before, rel=0.1)
    assert w.of("tel")[-1]["rule"] == "forecast"
    assert not [frame for frame in w.of("log") if frame["lvl"] == "error"]


def test_noisy_sensors_never_stop_the_loop(world):
    w = world()
    w.run(5)
    for device in ("ds18b20", "thermistor", "ina219", "tach"):
        w.board.devices[device].fault = Fault.NOISY
    w.run(60, 0.5)
    assert len(w.of("tel")) >= 64
    assert not [frame for frame in w.of("log") if frame["lvl"] == "error"]
    cases = [f["case_mc"] for f in w.of("tel") if f["case_mc"] is not None]
    assert all(20000 < case < 60000 for case in cases)


def test_an_exception_in_the_loop_sets_the_relay_safe_and_the_loop_goes_on(world):
    code = """
        from agent.app import App
        old = App._record
        def record(self, now_ms):
            if 20000 <= now_ms < 22000:
                raise ValueError("injected")
            old(self, now_ms)
        App._record = record
    """
    w = world(machine=HotBox(30.0), models=False, files=patched_main(code))
    w.run(10)
    w.fan_off()
    w.run(19.9 - w.now_s)
    assert not w.machine.fan_powered
    w.run(1)
    assert w.machine.fan_powered
    w.run(6)
    assert not w.machine.fan_powered  # min_on after it came on
    errors = [frame["msg"] for frame in w.of("log")]
    assert errors == ["loop: ValueError: injected"] * 2
    assert len(w.board.resets) == 1


def test_an_exception_every_period_ends_in_a_watchdog_reset_and_three_in_safe_mode(world):
    code = """
        from agent.app import App
        def record(self, now_ms):
            if self.mind.cooling:
                raise ValueError("injected")
        App._record = record
    """
    w = world(files=patched_main(code), heap_kb=190)
    w.until(lambda: len(w.of("hello")) == 4, 200, 1)
    w.run(5)
    assert w.board.resets[Cause.WATCHDOG] == 3
    assert [frame["safe"] for frame in w.of("hello")] == [False, False, False, True]
    assert w.of("hello")[-1]["cause"] == "watchdog"
    assert w.alarms("restart")[-1]["on"] == 1
    assert w.of("tel")[-1]["rule"] == "thermostat"
    assert w.machine.fan_powered or w.machine.case_temp_c < 45
    w.run(70, 1)
    assert len(w.of("hello")) == 4


def test_a_hung_loop_is_reset_by_the_watchdog_with_the_fan_on(world):
    code = """
        from agent.app import App
        def acted(self, now_ms):
            while now_ms > 15000:
                pass
        App._record = acted
    """
    w = world(machine=HotBox(30.0), models=False, files=patched_main(code))
    w.run(8)
    w.fan_off()
    w.until(lambda: w.board.resets[Cause.WATCHDOG] == 1, 60, 1)
    assert w.machine.fan_powered
    w.until(lambda: len(w.of("hello")) == 2, 10)
    boots = [frame["boot"] for frame in w.of("hello")]
    assert boots[1] == boots[0] + 1


def test_a_megabyte_of_garbage_does_not_disturb_the_loop(world):
    w = world()
    w.run(3)
    rng = random.Random(5)
    # All bytes but Ctrl-C, which is for people: it leads to the REPL.
    garbage = bytes(b for b in rng.randbytes(1_050_000) if b != 3)[: 1 << 20]
    pieces = [
        b"#fw1 ",
        b'#fw1 900 00000000 {"t":"cmd"',
        encode({"t": "cmd"}),
        encode({"t": "ack", "acks": [[{}]]}),
    ]
    for at in range(0, len(garbage), 4096):
        w.write(garbage[at : at + 4096] + rng.choice(pieces))
        w.run(0.3, 0.3)
    w.run(5)
    assert w.command("ping")["ok"]
    assert len(w.board.resets) == 1
    assert not [frame for frame in w.of("log") if frame["lvl"] == "error"]
    assert w.periods() == {1000}


def test_hundreds_of_commands(world):
    w = world()
    w.run(3)
    rng = random.Random(3)
    for _ in range(300):
        name, args = rng.choice(
            [
                ("ping", {}),
                ("explain", {}),
                ("override", {"fan": rng.randrange(2), "for_s": rng.randrange(1, 100)}),
                ("auto", {}),
                ("set_limit", {"limit_mc": rng.randrange(30000, 54000)}),
                ("rebirth", {}),
            ]
        )
        answer = w.command(name, **args)
        assert answer["ok"], answer
    assert w.command("set_limit", limit_mc=54001)["ok"] is False
    assert w.command("open")["ok"] is False
    w.run(61, 0.5)
    health = w.of("health")[-1]
    assert (health["err"], health["late"]) == (0, 0)
    assert len(w.board.resets) == 1


def test_a_broken_configuration_leads_to_safe_mode_that_says_why(world):
    w = world(files={"config.json": b'{"device":"b1","site":"home","board":"x","limit_mc":5}'})
    w.run(10)
    hello = w.of("hello")[-1]
    assert (hello["dev"], hello["safe"]) == ("b1", True)
    messages = [frame["msg"] for frame in w.of("log")]
    assert "limit_mc: 5, a number from 20000 to 90000 is needed" in messages
    assert w.machine.fan_powered
    assert w.of("tel")[-1]["rule"] == "sensor_loss"
    assert w.command("ping")["ok"]


def test_a_refused_model_leaves_the_thermostat_and_says_why(world):
    w = world(files={"models/cooling/model.tflite": b"\x00" * 3000})
    w.run(5)
    assert set(w.of("hello")[-1]["models"]) == {"anomaly"}
    assert any("cooling model refused" in frame["msg"] for frame in w.of("log"))
    assert w.of("tel")[-1]["rule"] == "thermostat"


def test_ctrl_c_leads_to_the_repl_with_the_fan_on(world):
    w = world(machine=HotBox(30.0))
    w.run(8)
    w.fan_off()
    w.write(b"\r\x03")
    w.until(lambda: b">>> " in w.text, 60, pause_s=0.02)
    assert w.machine.fan_powered
    w.write(b"print(6 * 7)\r")
    w.until(lambda: b"42" in w.text, 60, pause_s=0.02)
    w.write(b"import machine; machine.reset()\r")
    w.until(lambda: len(w.of("hello")) == 2, 60, pause_s=0.02)
    assert not w.of("hello")[-1]["safe"]


def test_nothing_durable_is_lost_over_a_silent_host_and_a_restart(world):
    w = world()
    w.acks = True
    w.run(5)
    w.acks = False
    w.run(400, 1)
    w.command("reboot")
    w.until(lambda: len(w.of("hello")) == 2, 30)
    assert w.of("hello")[-1]["queued"] > 5
    w.acks = True
    w.write(encode({"t": "clock", "at": 1795258800}))
    w.run(30, 0.5)
    assert w.command("ping")["ok"]
    w.run(20, 0.5)
    boots = sorted({boot for boot, _ in w.seen})
    for boot in boots:
        numbers = sorted(seq for b, seq in w.seen if b == boot)
        assert numbers == list(range(1, len(numbers) + 1))
    assert len(boots) == 2
    assert len([1 for b, _ in w.seen if b == boots[0]]) >= 8
    assert w.of("hello")[-1]["dropped"] == 0


def test_overtemperature_beats_an_override(world):
    w = world(machine=HotBox(40.0))
    w.machine.steady = True
    w.run(8)
    w.fan_off()
    w.machine.case_temp_c = 56.0
    w.until(lambda: w.machine.fan_powered, 6, 0.1)
    w.run(3)
    assert w.of("tel")[-1]["rule"] == "overtemp"
    assert w.alarms("overtemp")[-1]["on"] == 1


def test_a_fan_that_does_not_turn_is_an_alarm(world):
    w = world(machine=HotBox(48.0), models=False)
    w.machine.steady = True
    w.machine.turning_rpm = 0.0
    w.run(12)
    alarm = w.alarms("fan")[-1]
    assert alarm["on"] == 1
    assert "turns at 0 rpm" in alarm["why"]


def test_the_heap_of_the_board_file_is_what_the_tests_use():
    assert BOARD.heap_kb <= 160
