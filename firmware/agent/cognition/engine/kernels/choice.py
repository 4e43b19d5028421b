"""Which set of kernels this machine gets.

A wrong native kernel cannot be caught, so it is never tried on a chip it is not for; on the right
chip it has to reproduce the portable results before it is used.
"""

import sys


def chip_of(machine: str) -> str:
    """The chip in MicroPython's name of a machine ("... with ESP32S3"); "" where there is none.

    Packages and revisions of the plain ESP32 (ESP32-D0WD, ESP32-PICO-D4) count as it. What is not
    certain is none.
    """
    name = machine.split(" with ")[-1].replace("-", "").upper()
    if " with " not in machine or not name.startswith("ESP32"):
        return ""
    kind = name[5:7]
    if kind in ("S2", "S3", "C3", "C6"):
        return name[:7]
    return "ESP32" if kind in ("", "D0", "U4") or name[5:9] == "PICO" else ""


def candidates(platform, machine, mpy):
    """Names of sets to try on a machine, fastest first. mpy: sys.implementation._mpy, or 0."""
    sets = []
    chip = chip_of(machine)
    if platform == "esp32" and chip:
        # An ESP32-S2 is an "xtensawin" like the others, but has neither MAC16 nor zero-overhead
        # loops.
        native = {"": "esp32", "S2": "esp32s2", "S3": "esp32"}.get(chip[5:], "rv32")
        # The architecture of native code, as sys.implementation._mpy has it.
        if mpy >> 10 & 15 == (11 if native == "rv32" else 10):
            sets.append(native)
    if mpy >> 10:
        sets.append("viper")
    sets.append("portable")
    return sets


def choose(names=None):
    """(name, program) of the first set that is there and is proved. names: default for here."""
    if names is None:
        implementation = sys.implementation
        names = candidates(
            sys.platform,
            getattr(implementation, "_machine", ""),
            getattr(implementation, "_mpy", 0),
        )
    for name in names:
        try:
            made = _load(name)
        except (ImportError, SyntaxError, ValueError):
            continue  # not deployed, or for another version of MicroPython
        if name != "portable":
            from .check import proved

            if not proved(made):
                continue
        return name, made
    return choose(("portable",))


def _load(name):
    """A set's program()."""
    if name == "portable":
        from . import portable

        return portable
    if name == "viper":
        from . import viper

        return viper.program
    from . import native

    code = __import__(__name__[: -len("choice")] + "native_" + name, None, None, ("run",))
    return native.compiler(code.run, 4 if name == "esp32" else 3)
