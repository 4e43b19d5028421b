"""A board's raw REPL over mpremote's transport: entered however busy the board is, and trusted only
as far as checksums reach.

    with BoardRepl(device) as repl:
        repl.enter()
        text = repl.call("_hash('/boot.py')")       # a function of board_side.py

Every call carries a CRC-32 of itself, checked on the board before it is run, and the answer one of
its own: on a bad line a call is repeated, so what is called must bear that.
"""

from __future__ import annotations

import binascii
import contextlib
import errno
import struct
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import serial
from mpremote.transport import TransportError

from agent.communication.frames import FRAME, Decoder
from host.devices import ports
from host.devices.errors import DeviceError, NoAnswerError, PortBusyError, PortError
from host.devices.repl_transport import BANNER, REBOOTING, Transport

BAUD = 115200
HELPERS = Path(__file__).with_name("board_side.py")
# Between bytes; a board that erases flash is silent for a while.
READ_S = 1.0
CALL_S = 15.0
ENTER_S = 25.0
# boot.py, after a soft reset; what takes longer is interrupted.
BOOT_S = 4.0
QUIET_S = 0.08
# What a first Ctrl-C has not stopped gets so many, for longer than a board takes to start.
MORE_TIMES = 20
TRIES = 8
PIECE_BYTES = 512
# The watchdog of a program that was stopped still runs; nothing here takes that long.
WATCHDOG = "import machine\ntry:\n machine.WDT(timeout=600000)\nexcept Exception:\n pass"
# What a serial line may do in the middle of a call.
_LINE_ERRORS = (TransportError, OSError, struct.error, ValueError)


class BoardOsError(DeviceError):
    """The board's file system refused. `code`: its errno."""

    def __init__(self, code: int, call: str) -> None:
        super().__init__(f"the board's flash: {errno.errorcode.get(code, code)} in {call[:60]}")
        self.code = code


class BoardRepl:
    """`repeats`: calls that had to be made again because of the line. patience: all time limits,
    made for real boards, are so many times longer.
    """

    def __init__(self, device: str, baud: int = BAUD, patience: float = 1.0) -> None:
        """Opens the port. Raises PortBusyError, PortError."""
        self.device = device
        self.repeats = 0
        self.patience = patience
        self._baud = baud
        # What has come in is kept from one call of frames() to the next.
        self._decoder, self._events = Decoder(), deque[Any]()
        self._transport = self._open()

    def __enter__(self) -> BoardRepl:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _open(self) -> Transport:
        ports.require_free(self.device)
        try:
            transport = Transport(self.device, baudrate=self._baud, timeout=READ_S * self.patience)
        except (TransportError, OSError, ValueError) as error:
            ports.require_free(self.device)
            if ports.is_url(self.device) or Path(self.device).exists():
                raise PortBusyError(
                    f"{self.device} cannot be opened ({error}); is another program using it?"
                ) from error
            raise PortError(
                f"{self.device} is not there; ./run doctor lists the ports there are"
            ) from error
        transport.serial.write_timeout = READ_S * 5 * self.patience
        transport.answer_s *= self.patience
        return transport

    def close(self) -> None:
        with contextlib.suppress(OSError, serial.SerialException):
            self._transport.close()

    def enter(self) -> None:
        """To the raw REPL of a board with a fresh heap: the program stopped, boot.py run. Raises
        NoAnswerError.
        """
        self._interrupt(ENTER_S * self.patience)
        self._plain(WATCHDOG)
        self._soft_reset()
        self._send_helpers()

    def call(self, expression: str, timeout_s: float = CALL_S) -> str:
        """The value of an expression over the functions of board_side.py, as text. Raises
        BoardOsError, NoAnswerError.
        """
        data = expression.encode()
        code = f"_call({expression!r},{binascii.crc32(data)})"
        trouble: object = ""
        for attempt in range(TRIES):
            self.repeats += attempt > 0
            try:
                answer, trouble = self._execute(code, timeout_s * self.patience)
                answer = _checked(answer)
            except _LINE_ERRORS as error:
                trouble, answer = error, ""
                self._recover()
            if answer.startswith("!"):
                raise BoardOsError(int(answer[1:]), expression)
            if answer:
                return answer[1:]
            if "_call" in str(trouble) and "NameError" in str(trouble):
                # The board has started anew in between.
                self._plain(WATCHDOG)
                self._send_helpers()
        raise NoAnswerError(
            f"{self.device}: {expression[:40]}... was not answered in {TRIES} tries ({trouble}); "
            "what ran before still does after a reset: check cable and hub, press EN on the board, "
            "deploy again (./run doctor tells more)"
        )

    def say(self, code: str, timeout_s: float = CALL_S) -> str:
        """What a piece of code prints, or its traceback; no checksum guards it."""
        return self._plain(code, timeout_s).decode("utf-8", "replace")

    def reset(self) -> None:
        """Hard reset, as EN does. Raises NoAnswerError."""
        for _ in range(TRIES):
            try:
                self._transport.exec_raw_no_follow("import machine\nmachine.reset()")
                return
            except _LINE_ERRORS:
                self._recover()

    def let_go(self) -> None:
        """Start whatever is at a prompt anew, without waiting for anything."""
        with contextlib.suppress(OSError, serial.SerialException):
            self._transport.serial.write(b"\r\x03\x03\x02import machine\rmachine.reset()\r")

    def frames(self, timeout_s: float) -> Iterator[tuple[str, Any]]:
        """Yields ("frame", {...}) and ("text", "...") as they come, for so long at most. The port
        is opened again if it goes away, as that of a board with USB of its own does on reset.
        """
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            while self._events:
                kind, what, *_ = self._events.popleft()
                if kind == FRAME:
                    yield "frame", what
                else:
                    yield "text", what.decode("utf-8", "replace")
            try:
                data = self._transport.serial.read(self._transport.serial.in_waiting or 1)
            except (OSError, serial.SerialException):
                self.close()
                time.sleep(0.3)
                with contextlib.suppress(DeviceError):
                    self._transport = self._open()
                continue
            self._events.extend(self._decoder.feed(data))

    def _interrupt(self, timeout_s: float) -> None:
        # Ctrl-C again and again: a board that starts hears nothing for a while, and a program may
        # catch one or two.
        end, heard, times = time.monotonic() + timeout_s, b"", 1
        lost: Exception | None = None
        while time.monotonic() < end:
            try:
                for _ in range(times):
                    self._transport.serial.write(b"\r\x03\x03")
                    time.sleep(QUIET_S / 2)
                    heard = self._transport.serial.read(self._transport.serial.in_waiting) or heard
                times = MORE_TIMES
                heard = self._drain() or heard
                if self._raw_prompt(READ_S * self.patience):
                    # One more when all is quiet, so that exactly one prompt waits.
                    self._drain()
                    if self._raw_prompt(READ_S * self.patience):
                        return
                lost = None
            except (OSError, serial.SerialException) as error:
                lost = error
                time.sleep(QUIET_S)
        if lost:
            raise NoAnswerError(
                f"{self.device}: the line is gone ({lost}): was the board unplugged? What ran on "
                "it before still does; plug it in again, then the same command"
            )
        tail = heard[-80:].decode("utf-8", "replace").strip()
        said = f"it says {tail!r}" if tail else "nothing comes at all"
        raise NoAnswerError(
            f"{self.device}: no MicroPython prompt in {timeout_s:.0f} s, {said}; press EN "
            "on the board and try again; if it never had MicroPython, ./run flash; ./run doctor "
            "tells more"
        )

    def _raw_prompt(self, timeout_s: float) -> bool:
        self._transport.serial.write(b"\r\x01")
        data = self._transport.read_until(1, BANNER, timeout_s)
        return bool(data.endswith(BANNER))

    def _drain(self) -> bytes:
        # All there is until nothing comes for a moment; a flood is cut off.
        data, end = b"", time.monotonic() + 1.0
        while time.monotonic() < end:
            waiting = self._transport.serial.in_waiting
            if not waiting:
                time.sleep(QUIET_S)
                waiting = self._transport.serial.in_waiting
                if not waiting:
                    break
            data = (data + self._transport.serial.read(waiting))[-512:]
        return data

    def _soft_reset(self) -> None:
        try:
            self._transport.read_until(1, b">", READ_S * self.patience)
            self._transport.serial.write(b"\x04")
            for mark in (REBOOTING, BANNER):
                data = self._transport.read_until(1, mark, timeout_overall=BOOT_S * self.patience)
                if not data.endswith(mark):
                    break
            else:
                return
        except (OSError, serial.SerialException):
            pass
        self._interrupt(ENTER_S * self.patience)

    def _send_helpers(self) -> None:
        # In pieces, and not before the text has arrived whole is it run.
        source = HELPERS.read_bytes()
        for start in range(0, len(source), PIECE_BYTES):
            end = min(start + PIECE_BYTES, len(source))
            before = f"_s=_s[:{start}]+" if start else "import binascii\n_s="
            code = (
                f"{'_s=' if start else ''}{before}{source[start:end]!r}\nprint(binascii.crc32(_s))"
            )
            self._until_told(code, str(binascii.crc32(source[:end])))
        self._until_told("exec(_s)\nprint(_VERSION)", "1")

    def _until_told(self, code: str, answer: str) -> None:
        for _ in range(TRIES):
            if self._plain(code).split() == [answer.encode()]:
                return
        raise NoAnswerError(
            f"{self.device}: the line is too bad to work over; check cable and hub, then try again"
        )

    def _plain(self, code: str, timeout_s: float = CALL_S) -> bytes:
        try:
            out, trouble = self._transport.exec_raw(code, timeout=timeout_s * self.patience)
        except _LINE_ERRORS:
            self._recover()
            return b"?"
        return bytes(trouble or out)

    def _execute(self, code: str, timeout_s: float) -> tuple[str, str]:
        out, trouble = self._transport.exec_raw(code, timeout=timeout_s)
        lines = out.decode("ascii", "replace").strip().splitlines()
        return (lines[-1] if lines else ""), trouble.decode("utf-8", "replace")[-200:]

    def _recover(self) -> None:
        self._transport.use_raw_paste = True
        self._interrupt(ENTER_S * self.patience)


def _checked(answer: str) -> str:
    """ "=value" or "!errno" of an answer "crc =value" whose checksum is right; else ""."""
    crc, _, text = answer.partition(" ")
    with contextlib.suppress(ValueError):
        if int(crc, 16) == binascii.crc32(text.encode()):
            return text
    return ""
