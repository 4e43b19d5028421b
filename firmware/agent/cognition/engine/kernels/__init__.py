"""Sets of inner loops, all with the same results; one is chosen when this module is imported.

NAME says which: "esp32", "esp32s2" or "rv32" (native, by chip), "viper" or "portable".
A set has `program(prepared, data)`: from the prepared operators of a model, and the file's bytes,
the functions that invoke() calls one after the other. docs/kernels.md tells how to add one.
"""

import sys

NAME = ""


def portable(prepared, data):
    """The set that runs anywhere: every operator's own run()."""
    return [kernel.run for kernel in prepared]


program = portable


def select(names=None):
    """Takes the first set that is there and is proved; returns its name.

    names: sets to try, default those for this machine. "portable" always works.
    """
    global NAME, program
    # Imported here, and dropped again: a board needs it once.
    from .choice import choose

    NAME, program = choose(names)
    sys.modules.pop(__name__ + ".choice", None)
    globals().pop("choice", None)
    return NAME


select()
