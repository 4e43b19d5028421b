"""What a chip's ROM, the ESP-IDF boot loader and MicroPython print when something is wrong.

The texts are those of the ROMs of ESP32, S2, S3, C3 and C6, of ESP-IDF 4 and 5, and of MicroPython.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from host.devices.doctoring.finding import Finding, note, wrong

FLASH = "./run flash --erase"


@dataclass(frozen=True)
class Symptom:
    """`detail` may name groups of `pattern` as {0}, {1}."""

    pattern: str
    what: str
    detail: str
    next_step: str


# The first that is found is told: what comes first explains what follows it.
SYMPTOMS = (
    Symptom(
        r"waiting for download",
        "boot",
        "the chip waits in its download mode",
        "release BOOT (GPIO0, on C3 and C6 GPIO9) or take off what pulls it low, then press EN",
    ),
    Symptom(
        r"Brownout detector was triggered|\((?:RTCWDT_BROWN_OUT_RESET|BROWN_?OUT_RST|BROWN_?OUT)\)",
        "supply",
        "the supply breaks down (brownout)",
        "use a short USB cable and a port that gives 500 mA; feed relay and fan from elsewhere",
    ),
    Symptom(
        r"csum err:0x|ets_loader\.c \d+|load:0x\w+,len:-\d+",
        "flash mode",
        "the flash cannot be read in the mode its image asks for",
        'mode = "dio" in the [flash] of boards/<board>.toml, then ' + FLASH,
    ),
    Symptom(
        r"invalid header: 0xffffffff",
        "firmware",
        "the flash is empty where the chip starts from",
        FLASH,
    ),
    Symptom(
        r"invalid header: (0x\w+)",
        "firmware",
        "where the chip starts from is no image ({0}): flashed for another chip or to another "
        "offset",
        FLASH + " --board with the kind that it is (./run boards)",
    ),
    Symptom(
        r"flash read err, (\d+)",
        "firmware",
        "the chip cannot read its flash (flash read err, {0}): empty, or something holds GPIO12 "
        "high or hangs on GPIO6 to 11",
        "take everything off the pins and press EN; if it stays, " + FLASH,
    ),
    Symptom(
        r"(?:Invalid chip id\. Expected (\d+) read|mismatch chip ID, expected (\d+), found) (\d+)",
        "firmware",
        "its image is for another chip (number {2})",
        FLASH + " --board with the kind that it is (./run boards)",
    ),
    Symptom(
        r"Detected size\((\d+)k\) smaller than the size in the binary image header\((\d+)k\)",
        "firmware",
        "its image wants {1} KB of flash, the chip has {0}",
        FLASH + " --board with a kind that has this size",
    ),
    Symptom(
        r"flash_parts: partition \d+ invalid|Failed to verify partition table",
        "firmware",
        "its partition table is damaged or does not fit the flash",
        FLASH,
    ),
    Symptom(
        r"No bootable app partitions|app partition is not bootable|Image hash failed"
        r"|esp_image: Checksum failed|has invalid magic byte",
        "firmware",
        "its image is damaged",
        FLASH,
    ),
    Symptom(
        r"A stack overflow in task (\w+)",
        "crash",
        "the firmware crashes: the stack of task {0} overflows",
        FLASH + "; if it stays, tell the makers of the image",
    ),
    Symptom(
        r"Guru Meditation Error: Core\s+(\d) panic'ed \(([^)]*)\)",
        "crash",
        "the firmware crashes: {1} on core {0}",
        FLASH + "; if it stays, the flash or the supply is bad",
    ),
    Symptom(
        r"Task watchdog got triggered",
        "watchdog",
        "the program hangs: the watchdog restarts it",
        "look at its last words with ./run monitor; then ./run deploy",
    ),
    Symptom(
        r"assert failed: (\S+)|abort\(\) was called at PC (\S+)",
        "crash",
        "the firmware stops itself at {0}{1}",
        FLASH,
    ),
    Symptom(
        r"Backtrace: ?0x|Rebooting\.\.\.",
        "crash",
        "the firmware crashes and restarts",
        FLASH,
    ),
    Symptom(
        r"filesystem (?:starting at sector .*)?appears to\s+be corrupted",
        "file system",
        "is damaged",
        FLASH + ", then ./run deploy",
    ),
    Symptom(
        r"Traceback \(most recent call last\):\s(?:\s+.*\s)+?(\w[\w.]*: .*|\w*Error|\w*Exception)",
        "program",
        "fails: {0}",
        "./run deploy puts the agent there as it should be",
    ),
)

# The causes in rst:0x.. (NAME), from the ROMs; the names differ between chips.
CAUSES = (
    (r"POWERON", "power-on, or EN pressed"),
    (r"BROWN", "brownout"),
    (r"(?:TG\d_?WDT|MWDT|RTC_?WDT|SUPER_WDT|SWDT)", "watchdog"),
    (r"DEEPSLEEP|DSLEEP", "waking up"),
    (r"(?:SW|RTC_SW).*(?:RESET|RST)|SW_SYS|SW_CPU|LP_SW", "a restart by software"),
    (r"USB_|JTAG", "the USB side"),
    (r"EXT_|SDIO|GLITCH|EFUSE", "outside influence"),
)
RESET = re.compile(r"rst:0x[0-9a-f]+ \((\w+)\)")
ROM = re.compile(r"ESP-ROM:(esp32[a-z]?\d?)")
OLD_ROM = re.compile(r"ets (?:Jun  8 2016|Jul 29 2019)")
BANNER = re.compile(r"MicroPython v(\d+)\.(\d+)(\S*) on [^;\r\n]*; ([^\r\n]+)")
IDF_APP = re.compile(r"I \(\d+\) (?:app_init|cpu_start|main_task|heap_init)\b")
IDF_NAME = re.compile(r"(?:app_init|cpu_start): Project name:\s+(\S+)")


def chip(text: str) -> str:
    """The chip as its ROM names it, e.g. "esp32s3"; "" if it did not."""
    found = ROM.search(text)
    return found[1] if found else "esp32" if OLD_ROM.search(text) else ""


def cause(name: str) -> str:
    """A reset cause of a ROM in words."""
    return next((words for pattern, words in CAUSES if re.search(pattern, name)), "unknown")


def starts(text: str, listened_s: float, restarted: bool) -> list[Finding]:
    """What the text of one or more starts tells. restarted: one of them was asked for."""
    resets = RESET.findall(text)
    found = symptom(text)
    times = f"; it started {len(resets)} times within {listened_s:.0f} s" if resets[1:] else ""
    if found:
        return [wrong(found.what, found.detail + times, found.next_step)]
    if times:
        words = cause(resets[-1])
        return [
            wrong(
                "boot loop",
                f"{words} ({resets[-1]}){times}",
                "./run monitor --raw shows it whole; another cable and supply, then " + FLASH,
            )
        ]
    if resets and not restarted:
        return [note("start", f"started while it was looked at: {cause(resets[0])} ({resets[0]})")]
    return []


def symptom(text: str) -> Finding | None:
    for known in SYMPTOMS:
        found = re.search(known.pattern, text)
        if found:
            groups = [group or "" for group in found.groups()]
            return wrong(known.what, known.detail.format(*groups)[:160], known.next_step)
    return None
