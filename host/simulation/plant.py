"""The plant: three machines with a heat load, a case that warms up and a fan behind a relay.

One thermal node per machine (first order), which is what the recordings support:

    C dT/dt = P - (G_case + G_fan(rpm)) * (T - T_ambient)

The passive constants of machine 1 are those of a real rig, an ESP32-driven heater plate with an
INA260: github.com/kris2475/AI-Informed-Underfloor-Heating-Control-with-ESP32 (Apache-2.0, five runs
of four hours). `python -m training.twin` fits them and prints the error on the runs it left out.
The rig has no fan: the fan term is a model, forced convection growing with rpm^0.8 (turbulent flow,
Dittus-Boelter).

Pure Python and deterministic: the same seed and the same relay history give the same run, however
the time is cut into calls of `advance`.
"""

import copy
import math
from dataclasses import dataclass

from host.simulation.faults import PLANT_FAULTS
from host.simulation.load import AmbientDrift, HeatLoad

STEP_S = 0.5

# Fit over all five recorded runs (training/twin.py): dT/dt = A * P - B * (T - T_ambient).
TWIN_A_K_PER_J = 0.006753
TWIN_B_PER_S = 0.0010222
TWIN_CAPACITY_J_PER_K = 1.0 / TWIN_A_K_PER_J
TWIN_CONDUCTANCE_W_PER_K = TWIN_B_PER_S / TWIN_A_K_PER_J

FAN_FLOW_EXPONENT = 0.8
FAN_SPIN_UP_S = 1.2
FAN_SPIN_DOWN_S = 3.5
CLOG_TIME_S = 600.0
"""Time over which `filter_clog` closes the filter."""
CLOG_FLOW_LOSS = 0.9
CLOG_RPM_GAIN = 0.06
"""A blower with a shut filter moves less air and turns a little faster."""
OVERLOAD_FACTOR = 2.2
SUPPLY_MAX_A = 3.0


@dataclass(frozen=True)
class MachineSpec:
    """Constants of one machine. The fan adds `fan_w_per_k` to the conductance at `fan_rpm_max`."""

    name: str
    capacity_j_per_k: float
    conductance_w_per_k: float
    fan_w_per_k: float
    fan_rpm_max: float
    load_min_w: float
    load_max_w: float
    limit_c: float
    ambient_c: float = 23.0
    start_c: float = 38.0
    supply_v: float = 12.0


def _relative(
    name: str, mass: float, surface: float, load_w: tuple[float, float], **rest: float
) -> MachineSpec:
    """A relative of the rig: `mass` times its heat capacity, `surface` times its conductance."""
    return MachineSpec(
        name=name,
        capacity_j_per_k=TWIN_CAPACITY_J_PER_K * mass,
        conductance_w_per_k=TWIN_CONDUCTANCE_W_PER_K * surface,
        fan_w_per_k=3.0 * TWIN_CONDUCTANCE_W_PER_K * surface,
        load_min_w=load_w[0],
        load_max_w=load_w[1],
        **rest,
    )


MACHINES = (
    _relative("esp32-1", 1.0, 1.0, (2.5, 9.0), fan_rpm_max=3000.0, limit_c=45.0),
    _relative("esp32-2", 0.7, 0.85, (2.0, 8.0), fan_rpm_max=3600.0, limit_c=45.0, ambient_c=22.0),
    _relative("esp32-3", 1.5, 1.6, (4.0, 14.5), fan_rpm_max=2400.0, limit_c=47.0, ambient_c=25.0),
)


class Machine:
    """One machine of the plant.

    Virtual sensors read `case_temp_c`, `ambient_temp_c`, `supply_v`, `current_a` and `fan_rpm`; the
    relay's contact writes `fan_powered`. `faults` holds the names of active faults (see `inject`).
    """

    def __init__(self, spec: MachineSpec = MACHINES[0], seed: int = 1):
        self.spec = spec
        self.name = spec.name
        self.time_s = 0.0
        self.fan_powered = False
        self.fan_rpm = 0.0
        self.case_temp_c = spec.start_c
        self.clog = 0.0
        self.faults: set[str] = set()
        self._load = HeatLoad(spec.load_min_w, spec.load_max_w, f"{seed}/{spec.name}/load")
        self._ambient = AmbientDrift(spec.ambient_c, f"{seed}/{spec.name}/ambient")
        self._steps = 0
        self._debt_s = 0.0
        self.ambient_temp_c = self._ambient.value_c
        self.supply_v = spec.supply_v
        self.current_a = 0.0
        self._draw_power()

    @property
    def power_w(self) -> float:
        """Electrical power drawn, all of which becomes heat."""
        return self.supply_v * self.current_a

    @property
    def conductance_w_per_k(self) -> float:
        """Thermal conductance from case to ambient at the present fan speed and filter state."""
        flow = (self.fan_rpm / self.spec.fan_rpm_max) ** FAN_FLOW_EXPONENT
        flow *= 1.0 - CLOG_FLOW_LOSS * self.clog
        return self.spec.conductance_w_per_k + self.spec.fan_w_per_k * flow

    def inject(self, fault: str) -> None:
        """Switch a fault of the plant on. Raises ValueError for a name the plant does not know."""
        if fault not in PLANT_FAULTS:
            known = ", ".join(sorted(PLANT_FAULTS))
            raise ValueError(f"the plant has no fault {fault!r}; it knows {known}")
        self.faults.add(fault)

    def clear(self, fault: str) -> None:
        """Switch a fault off; a clogged filter is cleaned."""
        self.faults.discard(fault)
        if fault == "filter_clog":
            self.clog = 0.0

    def copy(self) -> "Machine":
        """A twin that lives the same future as long as its relay does: for what-if runs."""
        return copy.deepcopy(self)

    def advance(self, dt_s: float) -> None:
        """Let `dt_s` seconds pass (in fixed steps; a remainder is carried to the next call)."""
        if not 0.0 <= dt_s <= 86400.0:
            raise ValueError(f"advance takes 0 to 86400 seconds, got {dt_s!r}")
        self._debt_s += dt_s
        while self._debt_s >= STEP_S - 1e-9:
            self._debt_s -= STEP_S
            self._step()

    def _step(self) -> None:
        self._steps += 1
        self.time_s = self._steps * STEP_S
        self._turn_fan()
        if "filter_clog" in self.faults:
            self.clog = min(1.0, self.clog + STEP_S / CLOG_TIME_S)
        self.ambient_temp_c = self._ambient.at(self.time_s)
        self._draw_power()
        # Exact solution over the step with its inputs held: stable for every step length.
        conductance = self.conductance_w_per_k
        settled_c = self.ambient_temp_c + self.power_w / conductance
        decay = math.exp(-STEP_S * conductance / self.spec.capacity_j_per_k)
        self.case_temp_c = settled_c + (self.case_temp_c - settled_c) * decay

    def _turn_fan(self) -> None:
        target = 0.0
        if self.fan_powered and "fan_stuck" not in self.faults:
            target = self.spec.fan_rpm_max * (1.0 + CLOG_RPM_GAIN * self.clog)
        lag_s = FAN_SPIN_UP_S if target > self.fan_rpm else FAN_SPIN_DOWN_S
        if "fan_stuck" in self.faults:
            lag_s = 0.3
        self.fan_rpm += (target - self.fan_rpm) * (1.0 - math.exp(-STEP_S / lag_s))
        if target == 0.0 and self.fan_rpm < 30.0:
            self.fan_rpm = 0.0

    def _draw_power(self) -> None:
        watts = self._load.at(self.time_s)
        if "overload" in self.faults:
            watts = max(watts, self.spec.load_max_w * 0.6) * OVERLOAD_FACTOR
        # 0.15 ohm of wiring and supply: the bus sags a little under load.
        self.supply_v = self.spec.supply_v - 0.15 * watts / self.spec.supply_v
        self.current_a = min(SUPPLY_MAX_A, watts / self.supply_v)


def make_machines(count: int = 3, seed: int = 1) -> list[Machine]:
    """The first `count` machines, esp32-1 onwards; past the third, the kinds repeat renamed."""
    machines = []
    for index in range(count):
        spec = MACHINES[index % len(MACHINES)]
        if index >= len(MACHINES):
            spec = MachineSpec(**{**spec.__dict__, "name": f"esp32-{index + 1}"})
        machines.append(Machine(spec, seed))
    return machines
