"""Replay: a recorded run takes the plant's place in front of the virtual sensors.

Two formats are known, told apart by their header:

- a run of the ESP32 heater rig (comma separated, `Thrmstr1`, `BME_Temp`, `Voltage (V)`, ...):
  Thrmstr1 is the case, BME_Temp the ambient air; there is no fan, so the tachometer follows the
  relay, lest every switching look like a stuck fan;
- a SKAB run (semicolon separated, `Temperature`, `Thermocouple`, `Volume Flow RateRMS`, ...):
  Temperature is the case, Thermocouple the ambient, flow stands in for the tachometer (100 rpm per
  l/min). Its motor runs on mains voltage, which an INA219 cannot see: voltage is scaled by a factor
  that `notes` names.

The recorded machine does not listen: the fan can be switched, the temperatures stay as recorded.
"""

import csv
import gzip
import io
import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from host.simulation.errors import SimulationError

MAX_BYTES = 64 * 1024 * 1024
MIN_ROWS = 10
INA219_MAX_V = 26.0
INA219_MAX_A = 3.2
SKAB_RPM_PER_FLOW = 100.0
NO_FAN_RPM = 3000.0
"""What a tachometer shows of a powered fan where the recorded machine had none."""

EXPECTED = (
    "expected a run of the ESP32 heater rig (.csv or .csv.gz with the columns Date, Time, "
    "Voltage (V), Current (A), Thrmstr1, BME_Temp) or a SKAB run (.csv with ; between the columns "
    "datetime, Current, Voltage, Temperature, Thermocouple, Volume Flow RateRMS)"
)


class ReplayError(SimulationError, ValueError):
    """A recording could not be read; the message says what was expected."""


@dataclass(frozen=True)
class Sample:
    """One second of a recording, in the units of the protocol the virtual sensors read."""

    case_temp_c: float
    ambient_temp_c: float
    supply_v: float
    current_a: float
    fan_rpm: float


@dataclass(frozen=True)
class Recording:
    """Samples one second apart; a gap in the recording holds its last sample."""

    kind: str
    samples: list[Sample]
    notes: tuple[str, ...] = ()


class ReplayMachine:
    """A recording behind the protocol of `plant.Machine`; `fan_powered` is taken and ignored."""

    def __init__(self, recording: Recording, name: str = "replay", loop: bool = True):
        self.name = name
        self.recording = recording
        self.notes = recording.notes
        self.loop = loop
        self.fan_powered = False
        self._has_fan = any(sample.fan_rpm for sample in recording.samples)
        self.time_s = 0.0

    @property
    def ended(self) -> bool:
        """True once a recording that does not loop has been played; its last sample stays."""
        return not self.loop and self.time_s >= len(self.recording.samples)

    @property
    def sample(self) -> Sample:
        index = int(self.time_s + 1e-9)
        count = len(self.recording.samples)
        return self.recording.samples[index % count if self.loop else min(index, count - 1)]

    @property
    def case_temp_c(self) -> float:
        return self.sample.case_temp_c

    @property
    def ambient_temp_c(self) -> float:
        return self.sample.ambient_temp_c

    @property
    def supply_v(self) -> float:
        return self.sample.supply_v

    @property
    def current_a(self) -> float:
        return self.sample.current_a

    @property
    def fan_rpm(self) -> float:
        if self._has_fan:
            return self.sample.fan_rpm
        return NO_FAN_RPM if self.fan_powered else 0.0

    def advance(self, dt_s: float) -> None:
        """Let `dt_s` seconds of the recording pass."""
        self.time_s += dt_s

    def inject(self, fault: str) -> None:
        """Raises ReplayError: what was recorded cannot break anew."""
        raise ReplayError(
            f"fault {fault!r}: a recording cannot be given faults of the plant; "
            "leave --replay out, or use a sensor fault"
        )

    def clear(self, fault: str) -> None:
        """Nothing to clear."""


def open_replay(path: str | Path, *, loop: bool = True, name: str = "replay") -> ReplayMachine:
    """Open a recorded run as a machine. Raises ReplayError for anything it cannot replay."""
    return ReplayMachine(read_recording(path), name=name, loop=loop)


def read_recording(path: str | Path) -> Recording:
    """Read a recorded run. Raises ReplayError for anything it cannot replay."""
    text = _read_text(Path(path))
    header = text.split("\n", 1)[0]
    if "Thrmstr1" in header:
        return _parse(path, text, ",", _HEATER_COLUMNS, _heater_row, "ESP32 heater run")
    if "Volume Flow RateRMS" in header:
        return _parse(path, text, ";", _SKAB_COLUMNS, _skab_row, "SKAB run")
    raise ReplayError(f"recording {path}: its first line is neither header; {EXPECTED}")


_HEATER_COLUMNS = ("Date", "Time", "Voltage (V)", "Current (A)", "Thrmstr1", "BME_Temp")
_SKAB_COLUMNS = (
    "datetime",
    "Current",
    "Voltage",
    "Temperature",
    "Thermocouple",
    "Volume Flow RateRMS",
)


def _heater_row(row: dict[str, str]) -> tuple[datetime, list[float]]:
    when = datetime.strptime(f"{row['Date']} {row['Time']}", "%Y-%m-%d %H:%M:%S")
    names = ("Thrmstr1", "BME_Temp", "Voltage (V)", "Current (A)")
    return when, [*(float(row[name]) for name in names), 0.0]


def _skab_row(row: dict[str, str]) -> tuple[datetime, list[float]]:
    when = datetime.fromisoformat(row["datetime"])
    names = ("Temperature", "Thermocouple", "Voltage", "Current")
    flow = float(row["Volume Flow RateRMS"])
    return when, [*(float(row[name]) for name in names), max(0.0, flow) * SKAB_RPM_PER_FLOW]


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except OSError as error:
        raise ReplayError(f"recording {path}: {error.strerror or error}; {EXPECTED}") from error
    if raw is not None and raw[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as packed:
                raw = packed.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ReplayError(
                f"recording {path}: damaged gzip file ({error}); fetch it again"
            ) from error
    if raw is None or len(raw) > MAX_BYTES:
        raise ReplayError(f"recording {path}: larger than {MAX_BYTES >> 20} MB; {EXPECTED}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReplayError(f"recording {path}: not a text file; {EXPECTED}") from error


def _parse(
    path: str | Path,
    text: str,
    delimiter: str,
    columns: tuple[str, ...],
    read_row: Callable[[dict[str, str]], tuple[datetime, list[float]]],
    kind: str,
) -> Recording:
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise ReplayError(
            f"recording {path}: {kind} without column {', '.join(missing)}; {EXPECTED}"
        )
    rows: list[tuple[datetime, list[float]]] = []
    try:
        for row in reader:
            rows.append(read_row(row))
    except (ValueError, TypeError, AttributeError, csv.Error) as error:
        raise ReplayError(
            f"recording {path}: line {reader.line_num} cannot be read ({error}); {EXPECTED}"
        ) from error
    if len(rows) < MIN_ROWS:
        raise ReplayError(f"recording {path}: {len(rows)} rows, at least {MIN_ROWS} are needed")
    values, gaps = _every_second(rows)
    notes = [f"{kind}, {len(values)} s; the fan does not cool what is recorded"]
    if gaps:
        notes.append(f"{gaps} s without data hold the sample before")
    values, holes = _fill(values)
    if holes:
        notes.append(f"{holes} values that are not numbers hold the value before")
    limits = ((2, "voltage", INA219_MAX_V), (3, "current", INA219_MAX_A))
    for index, name, limit in limits:
        factor = _scale_to(limit, (row[index] for row in values))
        if factor != 1.0:
            for sample in values:
                sample[index] *= factor
            notes.append(f"{name} scaled by {factor:g} to lie in the INA219's range (0-{limit:g})")
    return Recording(kind, [Sample(*row) for row in values], tuple(notes))


def _every_second(rows: list[tuple[datetime, list[float]]]) -> tuple[list[list[float]], int]:
    """One row per second: seconds logged twice keep the first, gaps of up to a minute are held."""
    values: list[list[float]] = []
    gaps = 0
    last = None
    for when, row in rows:
        missing = 0 if last is None else int((when - last).total_seconds()) - 1
        if last is not None and missing < 0:
            continue
        if 0 < missing <= 60:
            values.extend(list(values[-1]) for _ in range(missing))
            gaps += missing
        values.append(row)
        last = when
    return values, gaps


def _fill(values: list[list[float]]) -> tuple[list[list[float]], int]:
    """What is not a finite number becomes the value before it, or the first one there is."""
    holes = 0
    for index in range(len(values[0])):
        known = next((row[index] for row in values if math.isfinite(row[index])), 0.0)
        for row in values:
            if math.isfinite(row[index]):
                known = row[index]
            else:
                row[index] = known
                holes += 1
    return values, holes


def _scale_to(limit: float, values: Iterable[float]) -> float:
    """1 where the values fit, else the first of 0.5, 0.2, 0.1, 0.05, ... that makes them fit."""
    peak = max(values)
    factor = 1.0
    for step in (0.5, 0.4, 0.5) * 6:
        if peak * factor <= limit:
            break
        factor *= step
    return factor
