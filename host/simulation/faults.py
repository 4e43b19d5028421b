"""Faults that can be switched on while a simulation runs.

Written as `KIND@AT[+FOR][:MACHINE]`, times in simulated seconds: `fan_stuck@120`,
`filter_clog@60+900:esp32-2`.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from host.simulation.errors import SimulationError

PLANT_FAULTS = {
    "fan_stuck": "the fan has power and does not turn",
    "filter_clog": "the filter closes over ten minutes",
    "overload": "the machine draws far more power than it should",
}
DEVICE_FAULTS = {
    "sensor_unplugged": "the case sensor no longer answers",
    "sensor_stuck": "the case sensor repeats its last value",
}
"""These belong to the virtual devices; the plant only knows their names."""
FAULTS = {**PLANT_FAULTS, **DEVICE_FAULTS}

_MAX_TIME_S = 1_000_000.0
_PATTERN = re.compile(
    r"(?P<kind>[a-z_]+)@(?P<at>[0-9]+(?:\.[0-9]+)?)(?:\+(?P<for>[0-9]+(?:\.[0-9]+)?))?(?::(?P<machine>[a-z0-9_-]{1,32}))?"
)


class FaultError(SimulationError, ValueError):
    """A fault was written in a way that cannot be understood."""


@dataclass(frozen=True)
class Fault:
    """`kind` from `at_s` on, for `for_s` seconds (None: to the end), on `machine` (None: all)."""

    kind: str
    at_s: float
    for_s: float | None = None
    machine: str | None = None

    @property
    def of_plant(self) -> bool:
        """True when the plant shows it, False when the virtual devices do."""
        return self.kind in PLANT_FAULTS

    def active(self, time_s: float) -> bool:
        return self.at_s <= time_s and (self.for_s is None or time_s < self.at_s + self.for_s)

    def hits(self, machine: str) -> bool:
        return self.machine is None or self.machine == machine

    def __str__(self) -> str:
        lasts = "" if self.for_s is None else f"+{_plain(self.for_s)}"
        where = "" if self.machine is None else f":{self.machine}"
        return f"{self.kind}@{_plain(self.at_s)}{lasts}{where}"


def _plain(seconds: float) -> str:
    """Without an exponent, which the written form does not have."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def parse_fault(text: str) -> Fault:
    """Read one fault. Raises FaultError with the form and the known names."""
    known = ", ".join(sorted(FAULTS))
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise FaultError(
            f"fault {text[:60]!r}: expected KIND@SECONDS, KIND@SECONDS+SECONDS "
            "or either with :MACHINE behind it, "
            f"for example fan_stuck@120:esp32-2; kinds are {known}"
        )
    if match["kind"] not in FAULTS:
        raise FaultError(f"fault {text[:60]!r}: no such kind {match['kind']!r}; kinds are {known}")
    at_s = float(match["at"])
    for_s = None if match["for"] is None else float(match["for"])
    if at_s > _MAX_TIME_S or (for_s or 0.0) > _MAX_TIME_S:
        raise FaultError(f"fault {text[:60]!r}: times reach up to {_MAX_TIME_S:.0f} seconds")
    if for_s == 0.0:
        raise FaultError(
            f"fault {text[:60]!r}: lasts 0 seconds; leave the duration out or raise it"
        )
    return Fault(match["kind"], at_s, for_s, match["machine"])


@dataclass(frozen=True)
class FaultChange:
    """One fault that has just come (`on`) or gone."""

    fault: Fault
    on: bool


class FaultyPlant(Protocol):
    """What a schedule needs of a machine."""

    def inject(self, fault: str) -> None: ...

    def clear(self, fault: str) -> None: ...


class FaultSchedule:
    """Applies faults to one machine as its time passes.

    Changes of device faults are only reported, for the virtual devices to act on. Where several
    entries name the same kind, it stays on until the last of them has ended.
    """

    def __init__(self, faults: list[Fault], machine: str):
        self._faults = [fault for fault in faults if fault.hits(machine)]
        self._active: set[str] = set()

    def step(self, plant: FaultyPlant, time_s: float) -> list[FaultChange]:
        """Bring `plant` (a Machine) to the faults due at `time_s`; returns what changed."""
        changes = []
        due: dict[str, Fault] = {}
        for fault in self._faults:
            if fault.active(time_s):
                due.setdefault(fault.kind, fault)
        for kind in sorted(due.keys() - self._active):
            changes.append(FaultChange(due[kind], True))
        for kind in sorted(self._active - due.keys()):
            ended = next(fault for fault in self._faults if fault.kind == kind)
            changes.append(FaultChange(ended, False))
        self._active = set(due)
        for change in changes:
            if change.fault.of_plant:
                act = plant.inject if change.on else plant.clear
                act(change.fault.kind)
        return changes
