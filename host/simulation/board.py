"""A simulated board: one VM process, its flash, its pins with devices on them, its serial port."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from host.simulation import bus
from host.simulation.clock import Clock
from host.simulation.devices.base import Device
from host.simulation.devices.physics import Machine
from host.simulation.devices.relay import FanRelay
from host.simulation.errors import BoardError
from host.simulation.network_services import Services
from host.simulation.nvs import Nvs
from host.simulation.process import VmProcess
from host.simulation.radio import Radio
from host.simulation.serial import SerialPort
from host.simulation.states import CHATTER, Cause, State
from host.simulation.vm import Vm
from host.simulation.wiring import Wiring, wire

__all__ = ["Cause", "SimulatedBoard", "State"]

EXIT_SOFT_RESET = (0, 64)
EXIT_SOFT_RESET_RAW = 65
FAILED_STARTS_MAX = 5
BOOT_US = 300_000  # from reset until MicroPython runs: ROM and second-stage loader


class SimulatedBoard:
    """`root_dir` is the flash, mounted at "/" on the board; `link` the name of its serial port.

    Times are virtual. `resets` counts starts by cause, `crashes` VM processes that died by
    themselves. All methods belong to the simulation's thread: from another one go through
    `Simulation.call`.
    """

    def __init__(
        self,
        name: str,
        root_dir: Path,
        machine: Machine,
        clock: Clock,
        vm: Vm,
        wiring: Wiring,
        heap_kb: int = 110,
        link: Path | None = None,
        *,
        watch: Callable[[int, Callable[[], object]], None],
        unwatch: Callable[[int], None],
    ) -> None:
        self.name = name
        self.flash = Path(root_dir).resolve()
        if not self.flash.is_dir():
            raise BoardError(
                f"board {name}: there is no folder {self.flash} for its flash; build it first"
            )
        self.machine = machine
        self.vm = vm
        self.heap_kb = heap_kb
        self.peripherals = bus.Peripherals()
        self.devices: dict[str, Device] = wire(self.peripherals, wiring, machine, name)
        self.radio = Radio(clock, Services(watch, unwatch))
        self.serial = SerialPort(Path(link) if link else None, watch, unwatch, self._heard)
        self.state = State.OFF
        self.wake_us = 0
        self.watchdog_us: int | None = None
        self.resets: Counter[Cause] = Counter()
        self.crashes = 0
        self._clock = clock
        self._watch, self._unwatch = watch, unwatch
        self._process: VmProcess | None = None
        self._cause = Cause.POWER_ON
        self._raw = False
        self._seq = 0
        self._failed_starts = 0
        self._boot_us = 0
        self._watchdog_ms: int | None = None
        self._rtc_offset_s = 0
        self._nvs = Nvs(self.flash.with_name(self.flash.name + ".nvs.json"))
        self._busy_since_cpu_s = 0.0
        self._waited_cpu_s: float | None = None

    @property
    def port(self) -> str | None:
        """The serial port's path for clients; None while unplugged."""
        return self.serial.path

    @property
    def pin_levels(self) -> dict[int, int]:
        """Level by pin number."""
        return self.peripherals.pins.levels()

    @property
    def relay(self) -> FanRelay:
        """The relay with the fan on it."""
        relay = self.devices["relay"]
        assert isinstance(relay, FanRelay)
        return relay

    @property
    def pid(self) -> int | None:
        """The VM's process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Plug the board in: power and serial port."""
        if self.state is State.OFF:
            self.serial.plug()
            for device in self.devices.values():
                device.power_cycle()
            self.set_time_s(0)
            self._enter_reset(Cause.POWER_ON)

    def stop(self) -> None:
        """Take power and serial port away. The relay falls back, so the fan runs."""
        self._halt()
        self.radio.reset()
        self.peripherals.pins.reset()
        self.serial.unplug()
        self.state = State.OFF

    def hard_reset(self, cause: Cause = Cause.POWER_ON) -> None:
        """Press EN: everything starts again, except the clock's offset and the devices'
        registers.
        """
        if self.state is not State.OFF:
            self._halt()
            self._enter_reset(cause)

    press_en = hard_reset

    def unplug_serial(self) -> None:
        """Pull the cable; the board goes on (it has another supply)."""
        self.serial.unplug()

    def plug_serial(self) -> None:
        """Put the cable back."""
        if self.state is not State.OFF:
            self.serial.plug()

    # What the simulation calls.

    def advance(self, now_us: int, dt_us: int) -> None:
        """Virtual time passed: devices go on, sleepers wake, the watchdog may bite."""
        for device in self.devices.values():
            device.advance(now_us, dt_us)
        if self.watchdog_us is not None and now_us >= self.watchdog_us:
            self.hard_reset(Cause.WATCHDOG)
        elif now_us >= self.wake_us:
            if self.state is State.SLEEPING:
                self._answer(0, self.radio.carries, self.peripherals.take_edges(), edges=True)
            elif self.state is State.RESTARTING:
                self._boot_us = now_us
                self._begin()

    def next_event_us(self) -> int | None:
        """When time matters to this board next."""
        waits = self.state in (State.SLEEPING, State.RESTARTING)
        times = [t for t in (self.wake_us if waits else None, self.watchdog_us) if t is not None]
        return min(times, default=None)

    def holds_clock(self, grace_s: float) -> bool:
        """Whether time must wait for this board; looks at its process, so call it only when
        nothing comes.
        """
        if self._process is None or self.state not in (State.BOOTING, State.RUNNING, State.ABSENT):
            return False
        cpu_s = self._process.cpu_s()
        if self.state is State.BOOTING:
            return True
        # It may have waited for room in its terminal; then it goes on now.
        waits = self._process.waiting() and not self.serial.from_board()
        if waits and self._waited_cpu_s == cpu_s:
            # Twice in a row without having used the processor: it waits for input, not for us.
            self.state = State.IDLE
            return False
        self._waited_cpu_s = cpu_s if waits else None
        if cpu_s - self._busy_since_cpu_s > grace_s:
            self.state = State.ABSENT
        return self.state is State.RUNNING

    def from_bus(self) -> None:
        """Take one request of the board."""
        assert self._process is not None
        try:
            packet = self._process.bus.recv(bus.REQUEST.size)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if len(packet) != bus.REQUEST.size:
            self._ended()
            return
        op, self._seq, a, n, b, payload = bus.REQUEST.unpack(packet)
        if op == bus.SLEEP_MS or op == bus.SLEEP_US:
            self.wake_us = self._clock.now_us + b * (1000 if op == bus.SLEEP_MS else 1)
            self.state = State.SLEEPING
            if self.wake_us <= self._clock.now_us:
                self._answer(0, self.radio.carries, self.peripherals.take_edges(), edges=True)
        elif op == bus.RESET:
            self.hard_reset(Cause.HARD)
        else:
            self._answer(*self.peripherals.handle(op, a, b, payload[:n], self))

    # What the board asks for (bus.Control).

    def hello(self) -> bytes:
        """Reset cause, whether the REPL was raw before a soft reset, the unique id."""
        self._failed_starts = 0
        unique = b"\x02" + hashlib.sha256(self.name.encode()).digest()[:5]
        return bytes([self._cause, self._raw]) + unique

    def time_s(self) -> int:
        """Seconds since 2000, by the board's clock: 0 at power-on until it is set."""
        return self._clock.now_us // 1_000_000 + self._rtc_offset_s

    def set_time_s(self, seconds: int) -> None:
        """Set the board's clock."""
        self._rtc_offset_s = seconds - self._clock.now_us // 1_000_000

    def watchdog(self, timeout_ms: int | None) -> None:
        """Start the watchdog, or feed it."""
        self._watchdog_ms = timeout_ms or self._watchdog_ms
        if self._watchdog_ms is not None:
            self.watchdog_us = self._clock.now_us + self._watchdog_ms * 1000

    def nvs_get(self, key: bytes) -> bytes | None:
        """A value of the non-volatile store."""
        return self._nvs.get(key)

    def nvs_set(self, key: bytes, value: bytes | None) -> None:
        """Set, or with None erase, a value of the non-volatile store."""
        self._nvs.set(key, value)

    def _enter_reset(self, cause: Cause) -> None:
        self.radio.reset()
        self.peripherals.pins.reset()
        self._cause = cause
        self._raw = False
        self.resets[cause] += 1
        self.state = State.RESTARTING
        self.wake_us = self._clock.now_us + BOOT_US

    def _begin(self) -> None:
        if self._cause in CHATTER:
            self.serial.say(
                b"ets Jul 29 2019 12:21:46\r\n\r\n" + CHATTER[self._cause].encode() + b"\r\n"
            )
        terminal = self.serial.new_terminal()
        self._process = VmProcess(self.vm, self.flash, self.heap_kb, terminal)
        self._watch(self._process.bus.fileno(), self.from_bus)
        self.state = State.BOOTING

    def _halt(self) -> None:
        if self._process is not None:
            self._unwatch(self._process.bus.fileno())
            self._process.kill()
            self._process = None
            self.serial.close_terminal()
        self.watchdog_us = self._watchdog_ms = None

    def _ended(self) -> None:
        assert self._process is not None
        self._unwatch(self._process.bus.fileno())
        code = self._process.exit_code()
        self._process = None
        self.serial.close_terminal()
        if code in EXIT_SOFT_RESET or code == EXIT_SOFT_RESET_RAW:
            self._raw = code == EXIT_SOFT_RESET_RAW
            self._cause = Cause.SOFT
            self.resets[Cause.SOFT] += 1
            self._begin()
            return
        self.crashes += 1
        self._failed_starts += self.state is State.BOOTING
        if self._failed_starts >= FAILED_STARTS_MAX:
            raise BoardError(
                f"board {self.name}: its VM does not start (exit {code}, {FAILED_STARTS_MAX}"
                " times in a row); check it with: python -m host.simulation.vm"
            )
        self.watchdog_us = self._watchdog_ms = None
        self._enter_reset(Cause.HARD)

    def _answer(self, error: int, value: int, payload: bytes, edges: bool = False) -> None:
        now_us = self._clock.now_us - self._boot_us
        packet = bus.REPLY.pack(
            error,
            self._seq,
            0 if edges else len(payload),
            len(payload) // struct.calcsize("<BH") if edges else 0,
            now_us // 1000 & bus.MASK30,
            now_us & bus.MASK30,
            value & bus.MASK30,
            payload,
        )
        assert self._process is not None
        try:
            self._process.bus.send(packet)
        except OSError:
            return  # its end is noticed when the bus is read
        self._goes_on()

    def _heard(self) -> None:
        # What it waited for has come: time waits for what it does about it.
        if self.state is State.IDLE:
            self._goes_on()

    def _goes_on(self) -> None:
        assert self._process is not None
        self.state = State.RUNNING
        self._busy_since_cpu_s = self._process.cpu_s()
        self._waited_cpu_s = None
