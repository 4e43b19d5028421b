"""Int8 TFLite engine: runs a plain .tflite file bit for bit as TFLite-Micro's reference kernels do.

    from agent.cognition.engine import Model
    model = Model("model.tflite")
    scores = model.predict([[21.5, 40.0, 0.3]])[0]

The same code runs under CPython 3.11+ and MicroPython 1.24+ (31-bit small ints, single-precision
floats).
"""

import sys

from .errors import ArenaError, FormatError, InputError, ModelError, UnsupportedError
from .model import Model

__all__ = [
    "ArenaError",
    "FormatError",
    "InputError",
    "Model",
    "ModelError",
    "UnsupportedError",
    "forget_loader",
]

_RESIDENT = ("errors", "model")


def forget_loader():
    """Frees the code that only loading needs; loading another model imports it again.

    For boards, once all models are loaded. Loaded models keep the kernels they use, and of a
    module with a RUN only what that names.
    """
    prefix = __name__ + "."
    for name in list(sys.modules):
        rest = name[len(prefix) :]
        if name.startswith(prefix) and rest not in _RESIDENT:
            module = sys.modules.pop(name)
            globals().pop(rest, None)
            if sys.implementation.name == "micropython" and hasattr(module, "RUN"):
                _strip(module, module.RUN.split())


def _strip(module, kept):
    # One function kept keeps its whole module, one object all methods of its class.
    for name in list(module.__dict__):
        value = getattr(module, name)
        if isinstance(value, type) and getattr(value, "__module__", "") == module.__name__:
            for member in list(value.__dict__):
                if member not in kept and callable(getattr(value, member)):
                    delattr(value, member)
        if name not in kept and not name.startswith("__"):
            delattr(module, name)
