"""Serial ports: which there are, which one is meant, and who holds it.

device = choose(named, load_board("esp32"))

Nothing here opens a port: opening resets some boards.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serial.tools import list_ports as usb_ports

from host.devices.errors import PortBusyError, PortError

NOTHING_FOUND = (
    "is the cable a data cable (many only charge)? Is the board's LED on? "
    "`lsusb` (Linux) or the device manager (Windows) shows whether the computer sees it; "
    "boards with a CP210x or CH340 chip need its driver on Windows and older macOS"
)
PTY = "/dev/pts/"
PROC = Path("/proc")


class KindOfBoard(Protocol):
    """What of a board matters here; `usb_ids`: (vendor, product) it may show up with."""

    @property
    def name(self) -> str: ...

    @property
    def usb_ids(self) -> Sequence[tuple[int, int]]: ...


@dataclass(frozen=True)
class Port:
    """A serial port; vid and pid are None where it is no USB device."""

    device: str
    vid: int | None
    pid: int | None
    serial_number: str | None
    description: str

    def __str__(self) -> str:
        ids = "" if self.vid is None else f" [{self.vid:04x}:{self.pid:04x}]"
        number = f" {self.serial_number}" if self.serial_number else ""
        return f"{self.device}: {self.description}{ids}{number}"


@dataclass(frozen=True)
class Holder:
    """A process that has a port open."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"{self.command} (process {self.pid})" if self.command else f"process {self.pid}"


def list_ports() -> list[Port]:
    """The serial ports, USB ones first. Ptys and URLs are not listed but can be named."""
    found = [
        Port(p.device, p.vid, p.pid, p.serial_number, p.description or "serial port")
        for p in usb_ports.comports()
    ]
    return sorted(found, key=lambda port: (port.vid is None, port.device))


def choose(named: str | None, board: KindOfBoard | None, ports: list[Port] | None = None) -> str:
    """The device to open: the one named, or the only one that looks like `board` (None: any USB).

    Raises PortError (none, or several) and PortBusyError (somebody has it, or no permission).
    """
    ports = list_ports() if ports is None else ports
    if named:
        _require_there(named, ports)
        device = named
    else:
        device = _only(board, ports).device
    require_free(device)
    return device


def require_free(device: str) -> None:
    """Raises PortBusyError, with the reason, if opening `device` would fail."""
    if is_url(device) or not os.path.exists(device):  # COM3 is no file: opening it tells
        return
    if not os.access(device, os.R_OK | os.W_OK):
        raise PortBusyError(f"{device}: no permission; {_remedy(device)}")
    holding = holders(device)
    if holding:
        names = ", ".join(str(holder) for holder in holding)
        raise PortBusyError(f"{device} is in use by {names}; stop it, then try again")


def is_url(device: str) -> bool:
    """Whether it is a pyserial URL such as socket://host:port or rfc2217://host:port."""
    return "://" in device


def holders(device: str) -> list[Holder]:
    """Other processes that have `device` open, as far as /proc tells; none where there is no /proc.

    A pty is also open in the program behind it, so there only who has locked it counts.
    """
    path = os.path.realpath(device)
    pids = _lockers(path)
    if not path.startswith(PTY):
        pids |= _openers(path)
    return [Holder(pid, _command(pid)) for pid in sorted(pids - {os.getpid()})]


def _only(board: KindOfBoard | None, ports: list[Port]) -> Port:
    if board is None:
        what, fitting = "a USB serial port", [port for port in ports if port.vid is not None]
    else:
        what = f"a board of kind {board.name}"
        fitting = [port for port in ports if (port.vid, port.pid) in set(board.usb_ids)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise PortError(
            f"{len(fitting)} ports could be {what}:\n{_listed(fitting)}\nsay which with --port"
        )
    if ports:
        raise PortError(
            f"no port looks like {what}; {NOTHING_FOUND}. If it is one of these, say --port:\n"
            + _listed(ports)
        )
    raise PortError(f"there is no serial port at all; {NOTHING_FOUND}")


def _require_there(device: str, ports: list[Port]) -> None:
    if is_url(device) or any(port.device == device for port in ports):
        return
    there = f"; there are:\n{_listed(ports)}" if ports else "; there is no serial port at all"
    if sys.platform == "win32" or not os.path.exists(device):
        raise PortError(f"{device} is not there; {NOTHING_FOUND}{there}")
    if not stat.S_ISCHR(os.stat(device).st_mode):
        raise PortError(f"{device} is not a serial device{there}")


def _listed(ports: Iterable[Port]) -> str:
    return "\n".join(f"  {port}" for port in ports)


def _remedy(device: str) -> str:
    try:
        import grp

        group = grp.getgrgid(os.stat(device).st_gid).gr_name
    except (ImportError, KeyError, OSError):
        group = "dialout"
    if group == "root":
        return "it belongs to root: a udev rule has to give it to a group of yours"
    return f"`sudo usermod -aG {group} $USER`, then log out and in again"


def _openers(path: str) -> set[int]:
    pids = set()
    for process in PROC.glob("[0-9]*"):
        try:
            if any(os.readlink(fd) == path for fd in (process / "fd").iterdir()):
                pids.add(int(process.name))
        except OSError:
            continue  # ended meanwhile, or another user's: /proc/locks may still name it
    return pids


def _lockers(path: str) -> set[int]:
    try:
        status = os.stat(path)
        lines = (PROC / "locks").read_text().splitlines()
    except OSError:
        return set()
    # "1: FLOCK  ADVISORY  WRITE 4711 00:18:5 0 EOF": process, then major:minor:inode of the file.
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    pids = {int(words[-4]) for words in map(str.split, lines) if words[-3:-2] == [place]}
    return {pid for pid in pids if pid > 0}


def _command(pid: int) -> str:
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return ""
    words[0] = os.path.basename(words[0])
    text = " ".join(words).strip()
    return text if len(text) <= 80 else text[:77] + "..."
