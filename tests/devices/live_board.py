"""A simulated board that runs by itself, for deploys over its serial port; and bad lines."""

import contextlib
import io
import json
import os
import random
import select
import threading
import time
import tty
from pathlib import Path

import pytest

from host.devices import deploy_set
from host.devices.boards import load_board
from host.devices.console import Console
from host.devices.deploy import deploy
from host.devices.deploy_plan import ROOT_FILES
from host.simulation.errors import VmError
from host.simulation.states import Cause
from host.simulation.vm import ensure_vm
from host.simulation.world import Simulation
from tests.devices.flash_folder import put
from tests.simulation.simulation_rig import Bench

SPEED = 10.0
# Limits of a deploy that are no part of what is tested, for a busy machine.
PATIENCE = 4.0
BUNDLES = Path(__file__).resolve().parents[2] / "training" / "bundles"
MODELS = (BUNDLES / "cooling", BUNDLES / "anomaly")
BOARD = load_board("simulated")


class Agent:
    """What an agent's file says."""

    def __init__(self, bundles=(), board=BOARD, **settings):
        self.board = board
        self.config = {**board.device_config(device="b1"), **settings}
        self.bundles = bundles


class LiveBoard:
    def __init__(self, vm, folder, files=None, plain=True, heap_kb=BOARD.heap_kb):
        self.flash = folder / "flash"
        self.flash.mkdir()
        if plain:
            put(self.flash, deploy_set.wanted(Agent()))
        put(self.flash, files or {})
        self.simulation = Simulation(SPEED, vm)
        self.board = self.simulation.add_board(
            "b1", self.flash, Bench(), link=folder / "tty", heap_kb=heap_kb
        )
        self.simulation.start()
        self.port = str(folder / "tty")
        self.until(lambda: os.path.exists(self.port))

    def close(self):
        self.simulation.stop()

    def until(self, condition, timeout_s=60.0):
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, (self.board.resets, self.board.state)
            time.sleep(0.02)

    def call(self, function):
        return self.simulation.call(function)

    def cut_power(self):
        """And give it back at once."""
        self.call(self.board.hard_reset)

    @property
    def resets(self):
        """By machine.reset(); the watchdog also resets on a machine that stands still."""
        return self.board.resets[Cause.HARD]

    def settle(self):
        """Let the good minute pass in which a set is on trial."""
        self.simulation.run_for(70, speed=0)
        assert self.active[2] == "good"

    def deploy(self, agent=None, port=None, **options):
        self.console = Heard()
        options.setdefault("patience", PATIENCE)
        return deploy(port or self.port, agent or Agent(), self.console, **options)

    @property
    def active(self):
        return (self.flash / "active").read_text().split(" ")


class Heard(Console):
    def __init__(self):
        super().__init__(as_json=True, out=io.StringIO(), err=io.StringIO())

    @property
    def events(self):
        return [json.loads(line) for line in self.out.getvalue().splitlines()]


class BadLine:
    """A cable to a port that loses or flips a byte now and then. `port` is its other end."""

    def __init__(self, port, one_in, seed=1):
        self._inner = os.open(port, os.O_RDWR | os.O_NOCTTY)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.damaged = 0
        self._one_in = one_in
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join()
        for fd in (self._inner, self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)

    def _pump(self):
        other = {self._inner: self._master, self._master: self._inner}
        while not self._stop.is_set():
            for fd in select.select(list(other), [], [], 0.02)[0]:
                os.write(other[fd], self._damage(os.read(fd, 4096)))

    def _damage(self, data):
        out = bytearray()
        for byte in data:
            if self._random.randrange(self._one_in):
                out.append(byte)
                continue
            self.damaged += 1
            if self._random.random() < 0.5:
                out.append(byte ^ 1 << self._random.randrange(7))
        return bytes(out)


@pytest.fixture(name="live")
def live_boards(tmp_path):
    try:
        vm = ensure_vm()
    except VmError as error:
        pytest.skip(str(error))
    if not vm.raw_repl:
        pytest.skip("this VM has no raw REPL")
    boards = []

    def make(**options):
        boards.append(LiveBoard(vm, tmp_path, **options))
        return boards[-1]

    yield make
    for board in boards:
        board.close()


def wanted(agent):
    files = deploy_set.wanted(agent)
    return {path: content for path, content in files.items() if path not in ROOT_FILES}
