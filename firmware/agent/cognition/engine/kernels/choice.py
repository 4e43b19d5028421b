"""Which set of kernels this machine gets.

A wrong native kernel cannot be caught, so it is never tried on a chip it is not for; on the right
chip it has to reproduce the portable results before it is used.
"""

import sys

# chip: native sets that run on it. An ESP32-S2 is an "xtensawin" like the others, but has neither
# MAC16 nor zero-overhead loops.
_NATIVE = {
    "ESP32": "esp32",
    "ESP32S2": "esp32s2",
    "ESP32S3": "esp32",
    "ESP32C3": "rv32",
    "ESP32C6": "rv32",
}
# Architectures of native code by number, as sys.implementation._mpy has them.
_ARCHITECTURES = {"esp32": 10, "esp32s2": 10, "rv32": 11}


def chip_of(machine: str) -> str:
    """The chip in MicroPython's name of a machine ("... with ESP32S3"); "" where there is none.

    Packages and revisions of the plain ESP32 (ESP32-D0WD, ESP32-PICO-D4) count as it. What is not
    certain is none.
    """
    name = machine.split(" with ")[-1].replace("-", "").upper()
    if " with " not in machine or not name.startswith("ESP32"):
        return ""
    rest = name[5:]
    for chip in ("S2", "S3", "C3", "C6"):
        if rest.startswith(chip):
            return "ESP32" + chip
    if rest == "" or rest.startswith("D0") or rest.startswith("PICO") or rest.startswith("U4"):
        return "ESP32"
    return ""


def candidates(platform, machine, mpy):
    """Names of sets to try on a machine, fastest first. mpy: sys.implementation._mpy, or 0."""
    sets = []
    native = _NATIVE.get(chip_of(machine)) if platform == "esp32" else None
    if native and mpy >> 10 & 15 == _ARCHITECTURES[native]:
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

        return portable.program
    if name == "viper":
        from . import viper

        return viper.program
    from . import native

    code = __import__(__name__[: -len("choice")] + "native_" + name, None, None, ("run",))
    return native.compiler(code.run, 4 if name == "esp32" else 3)
