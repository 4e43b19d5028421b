"""Runs as a board would log them: integers at 1 Hz, seen through the sensors' resolution.

Two kinds: recorded (the heater rig, no fan) and simulated (the plant, under some relay schedule).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from host.simulation.plant import MACHINES, Machine, MachineSpec
from host.simulation.replay import Recording

Ints = NDArray[np.int64]

DS18B20_MC = 62.5
"""Resolution of the DS18B20 at 12 bits, in m°C."""
INA219_V = 0.004
INA219_A = 0.0001
TACH_RPM = 30.0
"""Two pulses per turn, counted for one second."""


@dataclass
class Run:
    """One run at 1 Hz. `true_mc` is the case temperature itself, `case_mc` what the sensor says."""

    name: str
    kind: str
    case_mc: Ints
    ambient_mc: Ints
    power_mw: Ints
    rpm: Ints
    fan: Ints
    true_mc: Ints
    fault: str = ""
    fault_at: int = -1
    branch_at: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    branch_mc: Ints = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    """Where the plant was branched, and the true case temperature one horizon later with the fan
    off and on."""

    def __len__(self) -> int:
        return len(self.case_mc)


def _temperature_mc(celsius: NDArray[np.float64]) -> Ints:
    return (np.rint(celsius * 1000.0 / DS18B20_MC) * DS18B20_MC).astype(np.int64)


def _power_mw(volts: NDArray[np.float64], amps: NDArray[np.float64]) -> Ints:
    seen = np.rint(volts / INA219_V) * INA219_V * (np.rint(amps / INA219_A) * INA219_A)
    return np.rint(seen * 1000.0).astype(np.int64)


def recorded_run(name: str, recording: Recording) -> Run:
    """A recording as the board's sensors would show it in a replay."""
    data = np.array(
        [
            (s.case_temp_c, s.ambient_temp_c, s.supply_v, s.current_a, s.fan_rpm)
            for s in recording.samples
        ]
    )
    zeros = np.zeros(len(data), np.int64)
    return Run(
        name=name,
        kind="recorded",
        case_mc=_temperature_mc(data[:, 0]),
        ambient_mc=_temperature_mc(data[:, 1]),
        power_mw=_power_mw(data[:, 2], data[:, 3]),
        rpm=zeros,
        fan=zeros,
        true_mc=np.rint(data[:, 0] * 1000.0).astype(np.int64),
    )


class Reading(NamedTuple):
    """What the sensors say at one sample, in the units of the features."""

    case_mc: int
    ambient_mc: int
    power_mw: int
    rpm: int


Schedule = Callable[[int, Reading], bool]
"""Asked once a second with the second and the readings: is the fan set on from now?"""


def varied_spec(seed: str, spread: float = 0.1) -> MachineSpec:
    """One of the three machines with its constants and its room varied, for training only."""
    draw = random.Random(seed)
    spec = draw.choice(MACHINES)

    def near(value: float) -> float:
        return value * draw.uniform(1.0 - spread, 1.0 + spread)

    ambient_c = draw.uniform(10.0, 34.0)
    return replace(
        spec,
        capacity_j_per_k=near(spec.capacity_j_per_k),
        conductance_w_per_k=near(spec.conductance_w_per_k),
        fan_w_per_k=near(spec.fan_w_per_k),
        fan_rpm_max=near(spec.fan_rpm_max),
        ambient_c=ambient_c,
        start_c=ambient_c + draw.uniform(0.0, 32.0),
    )


def plant_run(
    name: str,
    machine: Machine,
    schedule: Schedule,
    seconds: int,
    *,
    branch_every: int = 0,
    horizon: int = 60,
    fault: str = "",
    fault_at: int = -1,
) -> Run:
    """Run a machine for `seconds`. With `branch_every`, both actions are tried on copies of it.

    A fault starts at `fault_at`; `sensor_stuck` freezes what the case sensor says.
    """
    noise = random.Random(f"{name}/noise")
    readings = np.zeros((seconds, 4), np.int64)
    true_mc = np.zeros(seconds, np.int64)
    fan = np.zeros(seconds, np.int64)
    branch_at, branch_mc = [], []
    for second in range(seconds):
        stuck = fault == "sensor_stuck" and second > fault_at
        if second == fault_at and fault != "sensor_stuck":
            machine.inject(fault)
        reading = _read(machine, noise)
        if stuck:
            reading = reading._replace(case_mc=int(readings[second - 1][0]))
        readings[second] = reading
        true_mc[second] = round(machine.case_temp_c * 1000.0)
        fan[second] = machine.fan_powered = schedule(second, reading)
        if branch_every and second % branch_every == branch_every - 1:
            branch_at.append(second)
            branch_mc.append([_ahead_mc(machine, on, horizon) for on in (False, True)])
        machine.advance(1.0)
    return Run(
        name=name,
        kind="plant",
        case_mc=readings[:, 0].copy(),
        ambient_mc=readings[:, 1].copy(),
        power_mw=readings[:, 2].copy(),
        rpm=readings[:, 3].copy(),
        fan=fan,
        true_mc=true_mc,
        fault=fault,
        fault_at=fault_at,
        branch_at=np.array(branch_at, np.int64),
        branch_mc=np.array(branch_mc, np.int64).reshape(-1, 2),
    )


def _read(machine: Machine, noise: random.Random) -> Reading:
    """The sensors' view: a little noise, then their resolution."""
    volts = round(machine.supply_v / INA219_V) * INA219_V
    amps = round(machine.current_a * noise.gauss(1.0, 0.003) / INA219_A) * INA219_A
    return Reading(
        int(round((machine.case_temp_c + noise.gauss(0.0, 0.02)) * 16.0) * DS18B20_MC),
        int(round((machine.ambient_temp_c + noise.gauss(0.0, 0.02)) * 16.0) * DS18B20_MC),
        round(volts * amps * 1000.0),
        int(machine.fan_rpm // TACH_RPM * TACH_RPM),
    )


def _ahead_mc(machine: Machine, on: bool, horizon: int) -> int:
    twin = machine.copy()
    twin.fan_powered = on
    twin.advance(float(horizon))
    return round(twin.case_temp_c * 1000.0)
