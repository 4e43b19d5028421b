"""Which runs train, which choose the threshold and which judge: whole runs, never shared."""

from collections.abc import Callable
from dataclasses import dataclass, field

from host.simulation.plant import MACHINES, Machine
from host.simulation.replay import read_recording
from training import datasets
from training.cooling import CoolingModel
from training.errors import DataError
from training.runs import Run, Schedule, plant_run, recorded_run, varied_spec
from training.schedules import Forecast, RandomSchedule, Thermostat

FAULTS = ("fan_stuck", "filter_clog", "overload", "sensor_stuck")
FAULT_AT_S = 1200
RECORDED_TRAIN = 3
"""Of the recorded runs, in order of time, the first three train and the others judge."""

Tick = Callable[[], None]


def no_tick() -> None:
    """Nobody is watching."""


@dataclass
class Recorded:
    """The recorded runs, whole, split into those that train and those that judge."""

    train: list[Run] = field(default_factory=list)
    test: list[Run] = field(default_factory=list)
    sentence: str = ""


def recorded() -> Recorded:
    """The heater runs, or, with the reason in `sentence`, none."""
    try:
        paths = datasets.load("heater")
    except DataError as error:
        return Recorded(sentence=f"simulated plant only, for lack of recordings ({error})")
    runs = [recorded_run(path.name.split(".")[0], read_recording(path)) for path in paths]
    train, test = runs[:RECORDED_TRAIN], runs[RECORDED_TRAIN:]
    return Recorded(
        train,
        test,
        f"{len(train)} recorded runs of the ESP32 heater rig (Apache-2.0) and simulated "
        "plant runs under random relay schedules (the rig has no fan)",
    )


def cooling_train(
    seed: int, count: int = 48, seconds: int = 2400, tick: Tick = no_tick
) -> list[Run]:
    """Machines with varied constants in rooms of 10 to 34 °C, both actions tried every 20 s."""
    runs = []
    for index in range(count):
        name = f"cooling-train-{seed}-{index}"
        spec = varied_spec(name)
        schedule: Schedule = RandomSchedule(name)
        if index % 5 >= 3:
            schedule = Thermostat(spec.ambient_c + 8 + index * 7 % 23)
        runs.append(_run(name, Machine(spec, _seed(seed, index)), schedule, seconds, branch=20))
        tick()
    return runs


def cooling_test(seed: int, tick: Tick = no_tick) -> list[Run]:
    """The three machines as they are, under random schedules and under thermostats."""
    runs = []
    for index in range(6):
        spec = MACHINES[index % 3]
        name = f"cooling-test-{seed}-{index}"
        schedule: Schedule = RandomSchedule(name) if index < 3 else Thermostat(spec.limit_c)
        runs.append(_run(name, Machine(spec, _seed(seed, 1000 + index)), schedule, 2400, branch=20))
        tick()
    return runs


def normal(
    kind: str,
    seed: int,
    count: int,
    cooling: CoolingModel,
    seconds: int = 2400,
    tick: Tick = no_tick,
) -> list[Run]:
    """Normal operation in rooms of 10 to 34 °C: thermostats, the forecast policy, chance."""
    runs = []
    for index in range(count):
        name = f"{kind}-{seed}-{index}"
        spec = varied_spec(name, spread=0.0)
        limit_c = max(spec.limit_c, spec.ambient_c + 12.0)
        schedules: tuple[Schedule, ...] = (
            Thermostat(limit_c),
            Forecast(cooling, limit_c),
            Thermostat(limit_c, 2000),
            RandomSchedule(name),
        )
        schedule = schedules[index % len(schedules)]
        runs.append(_run(name, Machine(spec, _seed(seed, name)), schedule, seconds))
        tick()
    return runs


def faulty(
    seed: int, cooling: CoolingModel, each: int = 6, seconds: int = 2700, tick: Tick = no_tick
) -> list[Run]:
    """The three machines with one fault each from second 1200 on, half of them under the forecast
    policy."""
    runs = []
    for fault in FAULTS:
        for index in range(each):
            name = f"{fault}-{seed}-{index}"
            spec = MACHINES[index % 3]
            schedule: Schedule = Thermostat(spec.limit_c)
            if index % 2:
                schedule = Forecast(cooling, spec.limit_c)
            machine = Machine(spec, _seed(seed, name))
            runs.append(
                plant_run(name, machine, schedule, seconds, fault=fault, fault_at=FAULT_AT_S)
            )
            tick()
    return runs


def closed_loop(
    seed: int, cooling: CoolingModel, seconds: int = 3600, tick: Tick = no_tick
) -> dict[str, list[tuple[float, Run]]]:
    """The same hour of the same machines under each policy: policy -> (limit in °C, run)."""
    results: dict[str, list[tuple[float, Run]]] = {
        "forecast": [],
        "thermostat": [],
        "thermostat 1 K lower": [],
    }
    for spec in MACHINES:
        for policy in results:
            schedule: Schedule = Thermostat(spec.limit_c - (1.0 if "lower" in policy else 0.0))
            if policy == "forecast":
                schedule = Forecast(cooling, spec.limit_c)
            name = f"loop-{seed}-{spec.name}"
            run = _run(name, Machine(spec, _seed(seed, 5000)), schedule, seconds)
            results[policy].append((spec.limit_c, run))
            tick()
    return results


def _run(name: str, machine: Machine, schedule: Schedule, seconds: int, branch: int = 0) -> Run:
    return plant_run(name, machine, schedule, seconds, branch_every=branch)


def _seed(seed: int, index: int | str) -> int:
    """A plant seed of its own for every run."""
    if isinstance(index, str):
        index = int.from_bytes(index.encode()[-6:], "big")
    return seed * 1_000_003 + index
