"""The boot counter survives what flash and power do to it; time does not wrap."""

import binascii

import pytest

from agent.clock import Uptime, WallClock
from agent.decision.alarms import Alarm, Alarms, fan_fault
from agent.health import BootState


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state" / "boot")


def boot(path):
    state = BootState(path)
    state.begin()
    return state


def test_boots_count_up_and_three_failures_lead_to_safe_mode(path):
    first = boot(path)
    assert first.boot % 1000 == 1
    states = [first] + [boot(path) for _ in range(3)]
    assert [s.boot - first.boot for s in states] == [0, 1, 2, 3]
    assert [s.safe_mode for s in states] == [False, False, False, True]
    states[-1].good()
    assert not boot(path).safe_mode


def test_an_orderly_end_counts_neither_way(path):
    for _ in range(10):
        state = boot(path)
        state.excuse()
    assert not state.safe_mode
    boot(path)
    boot(path)
    boot(path).excuse()
    assert not boot(path).safe_mode
    assert boot(path).safe_mode


def test_crashes_are_counted_for_ever(path):
    boot(path).crashed()
    boot(path).good()
    assert boot(path).crashes == 1


def test_what_a_good_boot_refused_is_remembered_until_the_next_good_one(path):
    assert boot(path).refused_before is None

    def refused_by(roles, good=True):
        state = boot(path)
        state.refused = roles
        if good:
            state.good()
        return boot(path).refused_before

    assert refused_by(["cooling", "anomaly"]) == ["cooling", "anomaly"]
    assert "anomaly" in refused_by(["anomaly"])
    assert "cooling" not in refused_by(["cooling"], good=False)
    # In safe mode nobody looks.
    assert "anomaly" in refused_by(None)
    assert "anomaly" not in refused_by([])


@pytest.mark.parametrize("fields", ["7 1 0", "7 1 0 -", "7 1 0 12345678"])
def test_a_file_of_older_firmware_goes_on(path, fields):
    boot(path)
    with open(path, "w") as file:
        file.write(f"{fields} {binascii.crc32(fields.encode()):08x}\n")
    state = boot(path)
    assert (state.boot, state.refused_before) == (8, None)


@pytest.mark.parametrize(
    "garbage", [b"", b"\x00" * 64, b"7 0 0", b"7 0 0 00000000\n", b"\xff\xfe", b"7 0 0 1 2 3 4 x"]
)
def test_garbage_starts_anew_where_no_number_was(path, garbage):
    old = boot(path).boot
    with open(path, "wb") as file:
        file.write(garbage)
    new = boot(path).boot
    assert new % 1000 == 1
    assert new != old


def test_a_power_cut_before_the_rename_leaves_the_old_counter(path):
    old = boot(path).boot
    with open(path + ".new", "wb") as file:
        file.write(b"99")
    assert boot(path).boot == old + 1


def test_flash_that_cannot_be_written_does_not_stop_the_boot(tmp_path):
    (tmp_path / "state").write_text("a file, not a folder")
    boot(str(tmp_path / "state" / "boot"))


def test_uptime_does_not_wrap():
    ticks = [0x3FFFFF00]
    uptime = Uptime(lambda: ticks[0])
    total = 0
    for _ in range(30):
        ticks[0] = (ticks[0] + 0x8000000) & 0x3FFFFFFF
        total += 0x8000000
        assert uptime.ms() == total
    assert total > 1 << 31


def test_the_wall_clock_takes_only_dates():
    wall = WallClock()
    assert [wall.set(at, 0) for at in (0, -5, 1 << 40)] == [False] * 3
    assert wall.at(5) is None
    assert wall.set(1795258800, 10_000)
    assert [wall.at(ms) for ms in (10_000, 12_500, 8_000)] == [1795258800, 1795258802, 1795258798]


def test_an_alarm_needs_patience_both_ways():
    alarm = Alarm("fan", "", 3)
    changes = [alarm.judge(cause) for cause in (1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0)]
    assert [i for i, changed in enumerate(changes) if changed] == [5, 12]


@pytest.mark.parametrize(
    ("on", "rpm", "fault"),
    [
        (1, 1200, ""),
        (1, 199, "on but turns at 199"),
        (0, 0, ""),
        (0, 200, "off but turns at 200"),
        (1, None, ""),
    ],
)
def test_fan_faults(on, rpm, fault):
    assert fault in fan_fault(on, rpm)
    assert bool(fan_fault(on, rpm)) == bool(fault)


@pytest.mark.parametrize(
    ("rpm_after_s", "alarmed"),
    [
        (lambda s: 3000 * 0.75**s, False),  # coasts: below 200 rpm after ten seconds
        (lambda s: max(150, 3000 - 150 * s), False),  # slowly: below after nineteen
        (lambda s: 3000, True),  # does not obey
    ],
)
def test_a_fan_may_coast_before_it_is_said_not_to_obey(rpm_after_s, alarmed):
    told = []
    alarms = Alarms(lambda *what: told.append(what), [], 1000, 5, False)
    for second in range(20):
        alarms.judge(40000, 55000, 1, 3000, second * 1000)
    for second in range(1, 40):
        alarms.judge(40000, 55000, 0, int(rpm_after_s(second)), (19 + second) * 1000)
    assert [what[0] for what in told] == (["fan"] if alarmed else [])
