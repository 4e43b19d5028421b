"""One simulated board with the real firmware, and a host on its serial line."""

import itertools
import json
import os
import shutil
import time
import tty
from pathlib import Path

from agent.communication.frames import FRAME, Decoder, encode
from host.devices.boards import load_board
from host.simulation.world import Simulation

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = ROOT / "training" / "bundles"
BOARD = load_board("simulated")


class HotBox:
    """A box with a heater and a fan, first order: simple enough to be steered by a test."""

    def __init__(self, case_temp_c=38.0):
        self.case_temp_c = case_temp_c
        self.ambient_temp_c = 23.0
        self.supply_v = 12.0
        self.current_a = 0.5
        self.fan_powered = True
        self.steady = False
        self.turning_rpm = 1200.0

    @property
    def fan_rpm(self):
        return self.turning_rpm if self.fan_powered else 0.0

    def advance(self, dt_s):
        if self.steady:
            return
        loss = 0.03 if self.fan_powered else 0.01
        heat = 0.05 * self.current_a * self.supply_v
        self.case_temp_c += dt_s * (heat - loss * (self.case_temp_c - self.ambient_temp_c))


class World:
    """`frames`: every frame the board sent; `text`: all else."""

    def __init__(
        self,
        vm,
        firmware,
        folder,
        *,
        models=True,
        files=None,
        config=None,
        machine=None,
        heap_kb=None,
    ):
        self.simulation = Simulation(0.0, vm)
        self.machine = machine or HotBox()
        self.flash = folder / "flash"
        shutil.copytree(firmware, self.flash)
        settings = {"min_on_s": 5, "min_off_s": 5, **(config or {})}
        extra = {"config.json": json.dumps(BOARD.device_config(device="b1", **settings)).encode()}
        if models:
            for role in ("cooling", "anomaly"):
                for name in ("manifest.json", "model.tflite"):
                    extra[f"models/{role}/{name}"] = (BUNDLES / role / name).read_bytes()
        extra.update(files or {})
        for name, content in extra.items():
            path = self.flash / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.board = self.simulation.add_board(
            "b1", self.flash, self.machine, heap_kb=heap_kb or BOARD.heap_kb, link=folder / "tty"
        )
        self.board.serial.plug()
        self._fd = os.open(self.board.port, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        tty.setraw(self._fd)
        self._decoder = Decoder()
        self.frames = []
        self.text = b""
        self.acks = True
        self.seen = set()
        self._number = 0

    def close(self):
        self.simulation.stop()
        os.close(self._fd)

    @property
    def now_s(self):
        return self.simulation.clock.now_us / 1e6

    def run(self, seconds, step_s=0.1):
        end = self.now_s + seconds
        while self.now_s < end - 1e-6:
            self.simulation.run_for(min(step_s, end - self.now_s))
            self.poll()

    def poll(self):
        self.board.serial.from_board()
        while True:
            self.board.serial.flush()
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                return
            for event in self._decoder.feed(data):
                if event[0] == FRAME:
                    self.frames.append(event[1])
                    self._acknowledge(event[1])
                else:
                    self.text += event[1]

    def _acknowledge(self, frame):
        if self.acks and frame["t"] in ("dec", "alarm"):
            self.seen.add((frame["boot"], frame["seq"]))
            self.write(encode({"t": "ack", "acks": [[frame["boot"], frame["seq"]]]}))

    def until(self, condition, timeout_s, step_s=0.1, pause_s=0.0):
        """pause_s: of real time per step, for a board that waits for input: its time flies."""
        end = self.now_s + timeout_s
        while not condition():
            assert self.now_s < end, (self.text[-1500:], self.frames[-3:])
            self.run(step_s, step_s)
            time.sleep(pause_s)
        return self.now_s

    def write(self, data):
        while data:
            try:
                data = data[os.write(self._fd, data[:1024]) :]
            except BlockingIOError:
                self.simulation.run_for(0.05)

    def of(self, kind):
        return [frame for frame in self.frames if frame["t"] == kind]

    def alarms(self, kind):
        return [frame for frame in self.of("alarm") if frame["kind"] == kind]

    def periods(self):
        """Milliseconds between periods, as the telemetry tells them, each once; the first two left
        out, before which the board starts.
        """
        times = sorted({frame["ms"] for frame in self.of("tel")})[1:]
        return {b - a for a, b in itertools.pairwise(times)}

    def command(self, name, timeout_s=5, **args):
        """Sends a command and returns the answer."""
        self._number += 1
        id = f"c{self._number}"
        self.write(encode({"t": "cmd", "id": id, "name": name, "args": args}))
        self.until(lambda: any(f["id"] == id for f in self.of("rsp")), timeout_s)
        return next(f for f in self.of("rsp") if f["id"] == id)

    def fan_off(self):
        """Lets the board switch the fan off."""
        self.command("override", fan=0, for_s=3600)
        self.until(lambda: not self.machine.fan_powered, 60)
