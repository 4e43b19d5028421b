"""Which port is meant, and who holds it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import serial

from host.devices import ports
from host.devices.errors import PortBusyError, PortError
from host.devices.ports import Port, choose, holders, require_free


@dataclass(frozen=True)
class Kind:
    name: str = "esp32"
    usb_ids: tuple[tuple[int, int], ...] = ((0x10C4, 0xEA60), (0x1A86, 0x7523))


SILABS = Port("/dev/ttyUSB0", 0x10C4, 0xEA60, "0001", "CP2102 USB to UART Bridge Controller")
QINHENG = Port("/dev/ttyUSB1", 0x1A86, 0x7523, None, "USB Serial")
MODEM = Port("/dev/ttyACM0", 0x1199, 0x9091, None, "modem")
ONBOARD = Port("/dev/ttyS0", None, None, None, "serial port")

CHOICES = [
    # ports there are, board, the one chosen or words of the error
    ([SILABS], Kind(), SILABS),
    ([ONBOARD, MODEM, QINHENG], Kind(), QINHENG),
    ([ONBOARD, MODEM], None, MODEM),
    ([SILABS, QINHENG], Kind(), "2 ports .* esp32.*ttyUSB0: CP2102.*10c4:ea60. 0001.*USB1.*--port"),
    ([SILABS, QINHENG], None, "2 ports .* USB serial port.*--port"),
    ([ONBOARD, MODEM], Kind(), "no port looks like .* esp32.*only charge.*--port.*modem"),
    ([ONBOARD], None, "no port looks like a USB serial port.*only charge"),
    ([], Kind(), "no serial port at all.*only charge.*driver"),
]


@pytest.mark.parametrize(("there", "board", "expected"), CHOICES)
def test_choice(there: list[Port], board: Kind | None, expected: Port | str) -> None:
    if isinstance(expected, Port):
        assert choose(None, board, there) == expected.device
        return
    with pytest.raises(PortError) as caught:
        choose(None, board, there)
    assert re.search(expected, str(caught.value), re.DOTALL)


def test_this_computer() -> None:
    found = ports.list_ports()
    assert all(os.path.exists(port.device) for port in found)
    assert [port.vid is None for port in found] == sorted(port.vid is None for port in found)


@pytest.fixture
def pty(tmp_path: Path) -> Iterator[str]:
    """A pty under a name of its own, as a simulated board has."""
    master, slave = os.openpty()
    link = tmp_path / "board"
    link.symlink_to(os.ttyname(slave))
    yield str(link)
    os.close(master)
    os.close(slave)


def test_ptys_and_urls_can_be_named(pty: str) -> None:
    for named in (pty, "socket://127.0.0.1:1", "rfc2217://box.local:4000"):
        assert choose(named, Kind(), []) == named


@pytest.mark.parametrize("named", ["/dev/nowhere", __file__, "/dev"])
def test_what_is_no_port(named: str) -> None:
    with pytest.raises(PortError, match=r"is not (there|a serial device)") as caught:
        choose(named, Kind(), [SILABS])
    assert named in str(caught.value)
    assert "/dev/ttyUSB0" in str(caught.value)


def test_the_process_that_holds_a_port_is_named(pty: str) -> None:
    hold = "import serial, sys; p = serial.Serial(sys.argv[1], exclusive=True); input()"
    command = [sys.executable, "-c", hold, pty]
    piped = subprocess.PIPE
    with subprocess.Popen(command, stdin=piped, stdout=piped) as other:
        try:
            while not holders(pty):
                assert other.poll() is None
            with pytest.raises(PortBusyError, match=rf"python.*process {other.pid}.*stop it"):
                choose(pty, None)
        finally:
            other.kill()
    require_free(pty)
    with serial.Serial(pty, exclusive=True):
        require_free(pty)  # our own hold is no obstacle


def test_no_permission_names_the_group(pty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.os, "access", lambda *_: False)
    with pytest.raises(PortBusyError, match=r"no permission; .*(usermod -aG \w+ \$USER|udev)"):
        require_free(pty)
