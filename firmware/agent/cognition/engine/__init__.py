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

_RESIDENT = ("errors", "float32", "model", "views")


def forget_loader():
    """Frees the code that only loading needs; loading another model imports it again.

    For boards, once all models are loaded. Loaded models keep the kernels they use.
    """
    prefix = __name__ + "."
    for name in list(sys.modules):
        rest = name[len(prefix) :]
        if name.startswith(prefix) and rest not in _RESIDENT:
            del sys.modules[name]
            globals().pop(rest, None)
