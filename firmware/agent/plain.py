"""An object of attributes alone, so that the module that filled it can be unloaded after start-up.

On the board functions keep their module's code alive: what lives on after start must not be an
instance of a class of a module that is only needed to start.
"""

import sys


class Plain:
    """Attributes, nothing else."""


def plain():
    """An empty one."""
    return Plain()


def copy(source, names):
    """The named attributes of an object."""
    target = Plain()
    for name in names:
        setattr(target, name, getattr(source, name))
    return target


def unload(names):
    """Drops modules whose work is done from MicroPython's memory; elsewhere they stay."""
    if sys.implementation.name != "micropython":
        return
    for name in names:
        module = sys.modules.pop(name, None)
        parent, _, child = name.rpartition(".")
        if module is not None and parent in sys.modules and hasattr(sys.modules[parent], child):
            delattr(sys.modules[parent], child)


# What importing from agent/rare may fail with, where memory or flash does.
NOT_TO_BE_HAD = (MemoryError, ImportError, OSError)


def release():
    """Drops what has been imported from agent/rare: code that is needed now and then, and takes
    room only while it is used. Nothing that keeps the fan safe may depend on it.
    """
    unload([name for name in sys.modules if name.startswith("agent.rare.")])
