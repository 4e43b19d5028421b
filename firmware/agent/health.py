"""How the board is doing: boot and crash counters on flash, and figures about the loop."""

import binascii
import os

STATE = "/state"
PATH = STATE + "/boot"
SAFE_AFTER = 3  # failed boots in a row
GOOD_MS = 60000
_FIRST_STEP = 1000
_TOP = 1 << 29


class BootState:
    """`boot`: number of this boot. `fails`: boots in a row, this one included, that did not get
    to a good minute. `crashes`: exceptions that ended the program, ever. `trial`, set by main.py:
    what runs, and whether it is on trial (docs/deploy.md), or None. `refused`, set by start.py:
    roles whose models this boot refused, None where it did not look. `refused_before`: those of the
    newest boot that proved good, None where that is not known.

    The file holds "boot fails crashes set refused crc32" and is replaced by renaming, so a power
    cut leaves the old or the new one. Where there is none that is whole, boots are counted on from
    a random thousand: (boot, seq) names a durable frame for ever, so numbers must not come back.
    """

    def __init__(self, path: str = PATH):
        self._path = path
        found = _read(path) or _read(path + ".new")
        self.lost = found is None
        found = found or (_random_thousand(), 0, 0, "", None)
        self.boot, self.fails, self.crashes, self._set, self.refused_before = found  # type: ignore[var-annotated]
        self.trial = None
        self.refused = None

    def begin(self) -> None:
        """Counts this boot, as failed until it proves good."""
        self.boot = self.boot + 1 if self.boot < _TOP else 1
        running = self.trial.id if self.trial else ""  # type: ignore[attr-defined]
        if running != self._set:
            # Another set of files failed: that one says nothing about this one.
            self._set = running
            self.fails = 0
        self.fails += 1
        self.save()

    @property
    def safe_mode(self) -> bool:
        """Whether so many boots failed before this one that it must not try everything again."""
        return self.fails > SAFE_AFTER

    def good(self) -> None:
        """This boot is not a failed one: it was healthy for a while, or ends in an orderly way."""
        if self.refused is not None:
            self.refused_before = self.refused
        if self.fails:
            self.fails = 0
            self.save()
        if self.trial:
            self.trial.good()

    def excuse(self) -> None:
        """This boot ends in an orderly way before it proved good: it counts neither way."""
        if self.fails:
            self.fails -= 1
            self.save()
        if self.trial:
            self.trial.excuse()

    def crashed(self) -> None:
        self.crashes += 1
        self.save()

    def save(self) -> None:
        """Writes the file. A flash that cannot be written must not stop the fan: errors pass."""
        text = "%d %d %d %s" % (self.boot, self.fails, self.crashes, self._set or "-")
        if self.refused_before is not None:
            text += " %s" % (",".join(self.refused_before) or "-")
        line = "%s %08x\n" % (text, binascii.crc32(text.encode()) & 0xFFFFFFFF)
        try:
            _make_parent(self._path)
            with open(self._path + ".new", "w") as file:
                file.write(line)
            os.rename(self._path + ".new", self._path)
        except OSError:
            pass


def _make_parent(path):
    try:
        os.mkdir(path[: path.rfind("/")])
    except OSError:
        pass


def _read(path):
    try:
        with open(path, "rb") as file:
            line = file.read(80)
        text, crc = str(line, "utf-8").strip().rsplit(" ", 1)
        if int(crc, 16) != binascii.crc32(text.encode()) & 0xFFFFFFFF:
            return None
        parts = text.split(" ")
        boot, fails, crashes = [int(part) for part in parts[:3]]
    except (OSError, ValueError):
        return None
    # Without a set: as boards without slots wrote it; without what was refused: as older ones did.
    running = "" if len(parts) < 4 or parts[3] == "-" else parts[3]
    refused = parts[4].split(",") if len(parts) > 4 else None
    return boot, fails, crashes, running, refused


def _random_thousand():
    noise = os.urandom(3)
    thousand = (noise[0] | noise[1] << 8 | noise[2] << 16) % 99999
    return (1 + thousand) * _FIRST_STEP


class Health:
    """What the health frame tells: free heap, worst loop time, errors, late periods."""

    def __init__(self):
        self.free = 0
        self.min_free = None
        self.worst_ms = 0
        self.errors = 0
        self.last_error = ""
        self.late = 0
        self.self_test = None  # what the last one came to

    def heap(self, free: int) -> None:
        """The heap right after a collection."""
        self.free = free
        if self.min_free is None or free < self.min_free:
            self.min_free = free

    def period(self, ms: int) -> None:
        """How long a period's work took."""
        if ms > self.worst_ms:
            self.worst_ms = ms

    def error(self, error, where):
        """An exception that was caught."""
        self.errors += 1
        self.last_error = "%s: %s: %s" % (where, type(error).__name__, error)

    def take_worst_ms(self) -> int:
        """The worst since the last call."""
        worst = self.worst_ms
        self.worst_ms = 0
        return worst


class Watchdog:
    """The hardware watchdog: the loop calls `feed()` after a good period, and nobody else does.

    wdt: machine.WDT.
    """

    def __init__(self, wdt, timeout_ms):
        self._make = wdt
        self._timeout_ms = timeout_ms
        self._wdt = None

    def feed(self) -> None:
        if self._wdt is None:
            # Made again with the loop's own, shorter time: an ESP32 reconfigures the one it has.
            self._wdt = self._make(timeout=self._timeout_ms)
        self._wdt.feed()  # type: ignore[attr-defined]


class NoPin:
    """Stands for the relay's pin where the settings do not tell it: left alone since reset, an
    input, so the coil is without current.
    """

    def value(self, level=None):
        return level
