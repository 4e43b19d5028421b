"""The simulation: one loop that runs clock, machines and boards, and relays their serial ports."""

from __future__ import annotations

import contextlib
import os
import selectors
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from host.simulation.board import SimulatedBoard, State
from host.simulation.clock import Clock
from host.simulation.devices.physics import Machine
from host.simulation.errors import BoardError, SimulationError
from host.simulation.vm import Vm, ensure_vm
from host.simulation.wiring import Wiring

T = TypeVar("T")

TICK_US = 100_000
GRACE_S = 0.25
LOOK_S = 0.004
ABSENT_SPEED = (
    20.0  # while a board computes beyond its grace, even a free-running clock goes no faster
)


class Simulation:
    """Boards that share one virtual clock.

    The clock goes to the next event only when every board sleeps, waits for input, or has computed
    for more than `grace_s` of processor time; so a run does not depend on how fast the host is.
    Either `start()` a thread, or `run_for()` in the caller's; `stop()` ends both. `on_tick`
    callbacks get (now_s, dt_s) after the machines advanced, each 0.1 s of virtual time.
    """

    def __init__(self, speed: float = 1.0, vm: Vm | None = None, grace_s: float = GRACE_S) -> None:
        if sys.platform != "linux":
            raise SimulationError(
                "simulated boards need Linux: a container, a virtual machine or WSL will do"
            )
        self.clock = Clock(speed)
        self.boards: dict[str, SimulatedBoard] = {}
        self.on_tick: list[Callable[[float, float], None]] = []
        self.speed = speed
        self._vm = vm
        self._grace_s = grace_s
        self._next_tick_us = TICK_US
        self._selector = selectors.DefaultSelector()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._watch(self._wake_read, self._woken)
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._closed = False
        self._failure: BaseException | None = None
        self._look_at = 0.0

    @property
    def failure(self) -> BaseException | None:
        """What ended the thread, if it did not end by `stop()`."""
        return self._failure

    # Setting up.

    def add_board(
        self,
        name: str,
        root_dir: Path | str,
        machine: Machine,
        wiring: Wiring | None = None,
        *,
        heap_kb: int = 110,
        link: Path | str | None = None,
    ) -> SimulatedBoard:
        """Wire a board to a machine; it is powered when the simulation first runs, or now if it
        does.
        """
        if name in self.boards:
            raise BoardError(f"there are two boards named {name}; names must differ")
        if self._vm is None:
            self._vm = ensure_vm()
        board = SimulatedBoard(
            name,
            Path(root_dir),
            machine,
            self.clock,
            self._vm,
            wiring or Wiring(),
            heap_kb,
            Path(link) if link else None,
            watch=self._watch,
            unwatch=self._unwatch,
        )
        self.boards[name] = board
        if self._thread is not None:
            self.call(board.start)
        return board

    def start(self) -> None:
        """Run in a thread of its own, paced by `speed`, until `stop()`."""
        self._open()
        if self._thread is None:
            self._stopping = False
            self._thread = threading.Thread(target=self._serve, name="simulation", daemon=True)
            self._thread.start()
            self.call(self._power_on)

    def stop(self) -> None:
        """Switch all boards off and end the thread. The simulation cannot be used again."""
        if self._closed:
            return
        if self._thread is not None and self._thread is not threading.current_thread():
            self._stopping = True
            self._wake()
            self._thread.join()
            self._thread = None
        else:
            self._power_off()
        self._closed = True
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the simulation's thread and return its result; boards are used this
        way.
        """
        if self._thread is None or self._thread is threading.current_thread():
            return function()
        done = threading.Event()
        result: list[T] = []
        error: list[BaseException] = []

        def run() -> None:
            try:
                result.append(function())
            except BaseException as problem:
                error.append(problem)
            done.set()

        self._calls.append(run)
        self._wake()
        while not done.wait(0.5):
            if not self._thread.is_alive():
                raise SimulationError("the simulation has ended") from self._failure
        if error:
            raise error[0]
        return result[0]

    def run_for(self, seconds: float, *, speed: float | None = None) -> None:
        """Let `seconds` of virtual time pass, at `speed` if given; returns when they have.

        Without `start()` the boards' processes belong to the calling thread and end with it.
        """
        self._open()
        if self._thread is not None:
            self._wait_for(self.clock.now_us + round(seconds * 1e6), speed)
            return
        usual, self.speed = self.speed, self.speed if speed is None else speed
        try:
            self._power_on()
            self.clock.resume()
            until_us = self.clock.now_us + round(seconds * 1e6)
            while self._step(until_us):
                pass
        finally:
            self.speed = usual

    def run_until(
        self, condition: Callable[[], bool], timeout_s: float, every_s: float = 0.1
    ) -> bool:
        """Run until the condition holds or `timeout_s` of virtual time have passed; whether it
        held.
        """
        end_us = self.clock.now_us + round(timeout_s * 1e6)
        while not self.call(condition):
            if self.clock.now_us >= end_us:
                return False
            self.run_for(every_s)
        return True

    # The loop.

    def _open(self) -> None:
        if self._closed:
            raise SimulationError("this simulation was stopped; make a new one")

    def _power_on(self) -> None:
        for board in self.boards.values():
            board.start()

    def _power_off(self) -> None:
        for board in self.boards.values():
            board.stop()

    def _serve(self) -> None:
        self.clock.resume()
        try:
            while not self._stopping:
                self._step(None)
        except BaseException as problem:
            self._failure = problem
            raise
        finally:
            self._power_off()

    def _wait_for(self, until_us: int, speed: float | None) -> None:
        usual = self.speed
        if speed is not None:
            self.speed = speed
        try:
            while self.clock.now_us < until_us:
                time.sleep(0.002)
                if self._thread is None or not self._thread.is_alive():
                    raise SimulationError("the simulation has ended") from self._failure
        finally:
            self.speed = usual

    def _step(self, until_us: int | None) -> bool:
        """One turn of the loop; False when `until_us` is reached."""
        if until_us is not None and self.clock.now_us >= until_us and not self._busy():
            return False
        while self._calls:
            self._calls.popleft()()
        if self._busy():
            # A board that works answers within microseconds; look at its process only if not.
            if not self._poll(LOOK_S) and not self._holds():
                self._advance(until_us)
            return True
        self._advance(until_us)
        return True

    def _busy(self) -> bool:
        waited_for = (State.BOOTING, State.RUNNING)
        return any(board.state in waited_for for board in self.boards.values())

    def _holds(self) -> bool:
        # Each is looked at, since looking is what finds out who no longer holds it.
        holding = [board for board in self.boards.values() if board.holds_clock(self._grace_s)]
        return bool(holding)

    def _advance(self, until_us: int | None) -> None:
        times = [board.next_event_us() for board in self.boards.values()]
        next_us = min([self._next_tick_us, *(t for t in times if t is not None)])
        if until_us is not None:
            next_us = min(next_us, until_us)
        next_us = max(next_us, self.clock.now_us)
        absent = any(board.state is State.ABSENT for board in self.boards.values())
        slow = absent and (self.speed == 0 or self.speed > ABSENT_SPEED)
        self.clock.speed = ABSENT_SPEED if slow else self.speed
        if self._poll(self.clock.delay_s(next_us)):
            return
        if absent:
            self._holds()
        if self.clock.delay_s(next_us) > 0:
            return
        passed = self.clock.advance_to(next_us)
        if next_us >= self._next_tick_us:
            self._tick()
        for board in self.boards.values():
            board.advance(next_us, passed)

    def _tick(self) -> None:
        self._next_tick_us += TICK_US
        dt_s = TICK_US / 1e6
        for machine in {id(b.machine): b.machine for b in self.boards.values()}.values():
            machine.advance(dt_s)
        for callback in self.on_tick:
            callback(self.clock.now_s, dt_s)
        for board in self.boards.values():
            # A terminal that is asked tells more than one that is watched: the kernel may be late.
            board.serial.from_client()
            board.serial.flush()

    def _poll(self, timeout_s: float) -> bool:
        events = self._selector.select(timeout_s)
        for key, _ in events:
            # An earlier callback of this round may have closed it.
            if key.fd in self._selector.get_map():
                key.data()
        return bool(events)

    def _watch(self, fd: int, callback: Callable[[], object]) -> None:
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def _unwatch(self, fd: int) -> None:
        self._selector.unregister(fd)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"x")

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
