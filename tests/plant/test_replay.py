"""Replay: both formats, their faults, and the recorded files themselves."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.simulation.replay import ReplayError, open_replay, read_recording
from tests.recorded import need
from training import datasets

HEATER_HEAD = (
    "Date,Time,PWM,Voltage (V),Current (A),Power (W),Thrmstr1,Thrmstr2,ThrmstrOut,BME_Temp,BME_Hum"
)
SKAB_HEAD = (
    "datetime;Accelerometer1RMS;Current;Pressure;Temperature;Thermocouple;Voltage;"
    "Volume Flow RateRMS;anomaly"
)


def heater(rows):
    lines = [
        f"2025-9-20,19:{s // 60}:{s % 60},4,{v},{a},0,{case},0,0,{air},50"
        for s, v, a, case, air in rows
    ]
    return "\n".join([HEATER_HEAD, *lines]) + "\n"


def skab(rows):
    lines = [
        f"2020-03-09 10:{s // 60:02}:{s % 60:02};0;{a};0;{case};{air};{v};{flow};0"
        for s, v, a, case, air, flow in rows
    ]
    return "\n".join([SKAB_HEAD, *lines]) + "\n"


TWELVE = [(s, 4.5, 0.8, 30 + s, 20.5) for s in range(12)]


@pytest.fixture
def heater_file(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text(heater(TWELVE))
    return path


def test_heater_columns_reach_the_sensors(heater_file):
    machine = open_replay(heater_file)
    machine.advance(3.0)
    assert (machine.case_temp_c, machine.ambient_temp_c) == (33.0, 20.5)
    assert (machine.supply_v, machine.current_a, machine.fan_rpm) == (4.5, 0.8, 0.0)
    machine.fan_powered = True
    assert machine.fan_rpm == 3000.0, "no fan in the recording: the tachometer follows the relay"
    machine.fan_powered = True
    machine.advance(0.5)
    assert machine.case_temp_c == 33.0


def test_a_recording_loops_or_stays_at_its_end(heater_file):
    loops, ends = open_replay(heater_file), open_replay(heater_file, loop=False)
    for machine in (loops, ends):
        machine.advance(13.0)
    assert (loops.case_temp_c, loops.ended) == (31.0, False)
    assert (ends.case_temp_c, ends.ended) == (41.0, True)


def test_gzip_is_read_too(tmp_path):
    path = tmp_path / "run.csv.gz"
    path.write_bytes(gzip.compress(heater(TWELVE).encode()))
    assert len(read_recording(path).samples) == 12


def test_mains_voltage_is_scaled_into_range_and_said(tmp_path):
    path = tmp_path / "0.csv"
    path.write_text(skab([(s, 230.0, 1.2, 70.0, 25.0, 32.0) for s in range(12)]))
    machine = open_replay(path)
    assert machine.supply_v == pytest.approx(23.0)
    assert (machine.current_a, machine.fan_rpm) == (1.2, 3200.0)
    assert any("voltage scaled by 0.1" in note for note in machine.notes)


def test_gaps_doubles_and_holes_are_bridged_and_said(tmp_path):
    rows = [(s, 4.5, 0.8, 30 + s, "nan" if s == 5 else 20.5) for s in range(12) if s != 3]
    path = tmp_path / "run.csv"
    path.write_text(heater([rows[0], *rows]))
    recording = read_recording(path)
    assert [s.case_temp_c for s in recording.samples] == [30, 31, 32, 32, *range(34, 42)]
    assert recording.samples[5].ambient_temp_c == 20.5
    assert any("1 s without data" in note for note in recording.notes)
    assert any("1 values that are not numbers" in note for note in recording.notes)


WRONG = {
    "empty": b"",
    "another csv": b"a,b\n1,2\n",
    "not text": bytes(range(256)),
    "torn gzip": gzip.compress(heater(TWELVE).encode())[:60],
    "too short": heater(TWELVE[:3]).encode(),
    "missing column": heater(TWELVE).replace("BME_Temp", "Other").encode(),
    "letters for numbers": heater(TWELVE).replace("0.8", "much").encode(),
    "torn line": heater(TWELVE).encode()[:-20],
    "bad date": heater(TWELVE).replace("2025-9-20", "yesterday").encode(),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused_with_one_line_that_says_what_was_expected(tmp_path, name):
    path = tmp_path / "file.csv"
    path.write_bytes(WRONG[name])
    with pytest.raises(ReplayError) as error:
        open_replay(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ReplayError, match=r"nothing\.csv.*expected"):
        open_replay(tmp_path / "nothing.csv")


@given(st.binary(max_size=300), st.sampled_from([b"", HEATER_HEAD.encode(), SKAB_HEAD.encode()]))
def test_any_bytes_are_a_recording_or_a_replay_error(tmp_path_factory, tail, head):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(head + b"\n" + tail)
    try:
        read_recording(path)
    except ReplayError:
        pass


def test_faults_of_the_plant_are_refused(heater_file):
    with pytest.raises(ReplayError, match="fan_stuck"):
        open_replay(heater_file).inject("fan_stuck")


@pytest.mark.parametrize("source", ["heater", "skab"])
def test_every_recorded_file_replays(source):
    for path in need(source):
        recording = read_recording(path)
        assert len(recording.samples) > 900
        for sample in recording.samples:
            assert 0.0 <= sample.case_temp_c < 110.0
            assert 0.0 <= sample.supply_v <= 26.0
            assert 0.0 <= sample.current_a <= 3.2


@pytest.mark.parametrize("source", ["heater", "skab"])
def test_recorded_files_are_the_ones_that_were_pinned(source):
    for path, file in zip(need(source), datasets.sources()[source].files, strict=True):
        assert datasets.verify(path, file), path
