"""USB devices that ought to be serial ports and are not, for want of a driver (Linux: /sys)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from host.devices.doctoring.finding import Finding, note, wrong

SYS = Path("/sys/bus/usb/devices")
ESPRESSIF = 0x303A
# vendor, product (None: any): what it is, and its kernel module
CHIPS: tuple[tuple[int, int | None, str, str], ...] = (
    (0x10C4, 0xEA60, "CP210x", "cp210x"),
    (0x10C4, 0xEA70, "CP2105", "cp210x"),
    (0x1A86, 0x7523, "CH340", "ch341"),
    (0x1A86, 0x5523, "CH341", "ch341"),
    (0x1A86, 0x55D4, "CH9102", "cdc_acm"),
    (0x1A86, 0x55D3, "CH343", "cdc_acm"),
    (0x0403, 0x6001, "FT232R", "ftdi_sio"),
    (0x0403, 0x6015, "FT231X", "ftdi_sio"),
    (ESPRESSIF, None, "an Espressif chip's own USB", "cdc_acm"),
)
CHARGE_ONLY = (
    "a charge-only cable shows nothing at all: use a data cable, plug it in anew, and look whether "
    "the board's LED is on"
)


def findings(root: Path = SYS) -> Iterator[Finding]:
    """One per serial chip without a port; one where there is no serial chip at all."""
    if not root.is_dir():
        return  # no Linux, or a container without /sys
    known = list(_chips(root))
    for device, vid, pid, name, module in known:
        if not any(device.glob("**/tty*")):
            step = f"sudo modprobe {module}, then plug it in anew"
            if name.startswith("CH34"):
                step += "; some systems' brltty takes this chip away: sudo apt remove brltty"
            what = f"{name} [{vid:04x}:{pid:04x}] is plugged in but has no serial port"
            yield wrong("driver", what, step)
    if not known:
        yield note("USB", "no board or USB serial adapter is plugged in", CHARGE_ONLY)


def _chips(root: Path) -> Iterator[tuple[Path, int, int, str, str]]:
    for device in sorted(root.iterdir()):
        try:
            vid = int((device / "idVendor").read_text(), 16)
            pid = int((device / "idProduct").read_text(), 16)
        except (OSError, ValueError):
            continue  # an interface or a hub's root
        for vendor, product, name, module in CHIPS:
            if vid == vendor and product in (None, pid):
                yield device, vid, pid, name, module
                break
