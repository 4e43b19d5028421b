"""Boards with machines: flashes laid out, faults applied, all in one simulation.

What `./run demo` and the end-to-end tests start; the boards run the firmware as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host.devices.boards import load_board
from host.simulation.board import SimulatedBoard
from host.simulation.devices.base import Fault as DeviceFault
from host.simulation.devices.physics import Machine as Physics
from host.simulation.errors import SimulationError
from host.simulation.faults import FAULTS, PLANT_FAULTS, Fault, FaultSchedule
from host.simulation.filesystem import build_flash
from host.simulation.plant import Machine, make_machines
from host.simulation.radio import AccessPoint
from host.simulation.replay import ReplayMachine, open_replay
from host.simulation.vm import Vm
from host.simulation.world import Simulation

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
BUNDLES = ROOT / "training" / "bundles"
ROLES = ("cooling", "anomaly")
# The simulated boards' Wi-Fi.
NETWORK, PASSWORD = "simulated", "not a secret"
SECRETS = json.dumps({"wifi": PASSWORD}).encode()

_ON_DEVICE = {
    "sensor_unplugged": ("ds18b20", DeviceFault.UNPLUGGED),
    "sensor_stuck": ("ds18b20", DeviceFault.STUCK),
}


@dataclass
class Tally:
    """What one machine went through, for the last line of a run."""

    limit_c: float
    seconds: float = 0.0
    over_limit_s: float = 0.0
    fan_s: float = 0.0
    switches: int = 0
    hottest_c: float = -273.0
    _fan: bool | None = field(default=None, repr=False)

    def add(self, machine: Physics, dt_s: float) -> None:
        self.seconds += dt_s
        self.hottest_c = max(self.hottest_c, machine.case_temp_c)
        self.over_limit_s += dt_s if machine.case_temp_c > self.limit_c else 0.0
        self.fan_s += dt_s if machine.fan_powered else 0.0
        self.switches += self._fan is not None and self._fan != machine.fan_powered
        self._fan = machine.fan_powered

    def __str__(self) -> str:
        share = 100 * self.fan_s / self.seconds if self.seconds else 0.0
        return (
            f"hottest {self.hottest_c:.1f} C (limit {self.limit_c:.1f}), {self.over_limit_s:.0f} s"
            f" above it, fan on {share:.0f} % of the time, {self.switches} switchings"
        )


def bundle_files(folder: Path) -> dict[str, bytes]:
    """The part of a bundle folder that goes onto a board, as paths below /models."""
    role = folder.name
    names = ("model.tflite", "manifest.json")
    try:
        return {f"models/{role}/{name}": (folder / name).read_bytes() for name in names}
    except OSError as error:
        raise SimulationError(
            f"no {role} bundle in {folder} ({error.strerror}): train one with ./run train, or "
            "restore the kept ones with git checkout training/bundles"
        ) from error


def over_mqtt(host: str, port: int) -> dict[str, Any]:
    """Settings of boards whose link is a broker."""
    mqtt = {"host": host, "port": port, "in_clear": True}
    return {"link": "mqtt", "wifi": {"ssid": NETWORK}, "mqtt": mqtt}


def hottest_tenth_mc(replay: ReplayMachine) -> int:
    """The case temperature that a tenth of the recording exceeds, in m°C."""
    temps_c = sorted(sample.case_temp_c for sample in replay.recording.samples)
    return round(temps_c[len(temps_c) * 9 // 10] * 1000)


def _refuse_plant_faults(faults: Sequence[Fault]) -> None:
    for fault in faults:
        if fault.of_plant:
            raise SimulationError(
                f"fault {fault}: a recording cannot be given faults of the plant; leave --replay "
                f"out, or use one of {', '.join(_ON_DEVICE)}"
            )


class Fleet:
    """`count` boards named esp32-1 onwards, each cooling a machine of the plant.

    `folder` receives one flash folder per board (kept between runs, as a flash is) and the serial
    ports as links `<board>.tty`. `replay` is a recorded run that the sensors see in place of the
    plant; each board starts at another part of it, with a limit that the hottest tenth exceeds.
    With `broker` (address, port) their link is Wi-Fi and that broker.
    Raises SimulationError or DeviceError before anything runs.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bundles: Path = BUNDLES,
        count: int = 3,
        speed: float = 1.0,
        seed: int = 1,
        faults: Sequence[Fault] = (),
        replay: Path | None = None,
        vm: Vm | None = None,
        settings: dict[str, Any] | None = None,
        broker: tuple[str, int] | None = None,
    ) -> None:
        self.simulation = Simulation(speed, vm)
        self.ports: list[Path] = []
        """The serial ports clients open; a link exists while its board runs."""
        self.boards: dict[str, SimulatedBoard] = {}
        self.machines: dict[str, Machine | ReplayMachine] = {}
        self.tallies: dict[str, Tally] = {}
        self.on_fault: Callable[[str, str, bool], None] = lambda board, kind, on: None
        models: dict[str, bytes] = {}
        for role in ROLES:
            models |= bundle_files(bundles / role)
        described = load_board("simulated")
        settings = {**over_mqtt(*broker), **(settings or {})} if broker else settings or {}
        if replay is not None:
            _refuse_plant_faults(faults)
        for index, machine in enumerate(make_machines(count, seed)):
            name = machine.name
            source: Machine | ReplayMachine = machine
            limit_mc = round(machine.spec.limit_c * 1000)
            if replay is not None:
                source = open_replay(replay, name=name)
                limit_mc = hottest_tenth_mc(source)
                source.advance(len(source.recording.samples) * index // count)
            config = described.device_config(device=name, **{"limit_mc": limit_mc, **settings})
            flash = folder / name
            flash.mkdir(parents=True, exist_ok=True)
            files = {"config.json": json.dumps(config).encode(), "secrets.json": SECRETS}
            build_flash(flash, FIRMWARE, {**files, **models})
            self.machines[name] = source
            self.tallies[name] = Tally(config["limit_mc"] / 1000)
            self.ports.append(folder / f"{name}.tty")
            self.boards[name] = self.simulation.add_board(
                name, flash, source, heap_kb=described.heap_kb, link=self.ports[-1]
            )
            self.boards[name].radio.access_points[NETWORK] = AccessPoint(PASSWORD)
        unknown = {f.machine for f in faults if f.machine} - set(self.boards)
        if unknown:
            raise SimulationError(
                f"there is no board {sorted(unknown)[0]}; there are {', '.join(self.boards)}"
            )
        self._schedules = {name: FaultSchedule(list(faults), name) for name in self.boards}
        self.simulation.on_tick.append(self._tick)

    def switch_fault(self, kind: str, on: bool, board: str | None = None) -> list[str]:
        """Switch a fault on one board, or on all; returns the boards. Raises SimulationError."""
        if kind not in FAULTS:
            raise SimulationError(f"no fault {kind!r}; there are {', '.join(sorted(FAULTS))}")
        names = [board] if board else list(self.boards)
        for name in names:
            self.board(name)
        self.simulation.call(lambda: self._switch_all(names, kind, on))
        return names

    def switch_wifi(self, name: str, on: bool) -> None:
        """Let a board hear its access point or not. Raises SimulationError."""
        radio = self.board(name).radio
        self.simulation.call(lambda: setattr(radio, "down", not on))

    def board(self, name: str) -> SimulatedBoard:
        """The board of that name. Raises SimulationError with the names there are."""
        if name not in self.boards:
            raise SimulationError(f"no board {name!r}; there are {', '.join(self.boards)}")
        return self.boards[name]

    def _switch_all(self, names: Sequence[str], kind: str, on: bool) -> None:
        for name in names:
            self._switch(name, kind, on)

    def _switch(self, name: str, kind: str, on: bool) -> None:
        if kind in PLANT_FAULTS:
            machine = self.machines[name]
            (machine.inject if on else machine.clear)(kind)
        else:
            device, fault = _ON_DEVICE[kind]
            self.boards[name].devices[device].fault = fault if on else DeviceFault.NONE
        self.on_fault(name, kind, on)

    def _tick(self, now_s: float, dt_s: float) -> None:
        for name, machine in self.machines.items():
            self.tallies[name].add(machine, dt_s)
            for change in self._schedules[name].step(machine, now_s):
                if change.fault.of_plant:
                    self.on_fault(name, change.fault.kind, change.on)
                else:
                    self._switch(name, change.fault.kind, change.on)
