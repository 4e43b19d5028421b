"""Numbers in a model's own units: quantises inputs, runs it, dequantises outputs.

Results are those of C's float. The board's own floats, whatever their width, are used where they
cannot give another: for a quotient that is not near a tie of the rounding, and for products where
they have at least 24 bits. The rest is done on the bits (float32.py).
"""

import struct
import sys
from array import array

from .errors import InputError
from .float32 import float_bytes, quantize
from .views import CPYTHON, as_bytes

# CPython's numbers may be of any kind, numpy's float16 for one: there, all go by their bits.
_LIST, _TUPLE = (list, tuple) if sys.implementation.name == "micropython" else (None, None)

# MicroPython looks for a builtin among all of them, one after the other.
_int = int

# MicroPython may keep floats in 30 bits. Not written as a sum: mpy-cross would compute it.
_EXACT = float("1.0000001") != 1

# Below this, numbers could be subnormal, which not every processor computes as IEEE 754 has it.
_SMALLEST = 1e-30

# Of lists in lists: no tensor has more dimensions.
_DEEPEST = 8


def predict(model, inputs):
    """Model.predict()."""
    edges, count, output = model._edges or _edges(model)
    try:
        given = len(inputs)
    except TypeError:
        given = 0
    if given != count:
        raise InputError("%d inputs given, the model has %d: a list of all" % (given, count))
    index = 0
    for value in inputs:
        view, size, scale, zero_point = edges[index]
        i = -1
        kind = value.__class__
        if kind is _LIST or kind is _TUPLE:
            try:
                i = 0
                for v in value:
                    # floor(128 * (quotient + 1/2)) + 2**16: off by less than 1 for floats of 22
                    # bits or more, where that decides. So what is not next to a multiple of 128, a
                    # tie, is rounded as in C. Far outside of int8 only the sign matters.
                    q = _int(v / scale + 65600.0)
                    if not q + 1 & 126:  # the low seven bits are 0 or 127
                        break
                    q = (q >> 7) + zero_point
                    view[i] = (-128 if q < 0 else 127) if q + 128 >> 8 else q
                    i += 1
            except Exception:
                i = -1  # not a plain number, or one too many: _fill tells
        if i != size:
            _fill(model, index, value)
        index += 1
    model.invoke()
    if not output:
        return [_floats(model, index) for index in range(len(model.outputs))]
    view, scale, zero_point = output
    values = array("f", view)
    i = 0
    for v in view:
        values[i] = (v - zero_point) * scale
        i += 1
    return [values]


def _edges(model):
    """What the quick way through predict() needs, of every input and of an only output."""
    inputs = []
    for index in range(len(model.inputs)):
        scale = model.input_scale[index]
        inputs.append(
            (
                model.inputs[index],
                len(model.inputs[index]),
                scale / 128 if scale > _SMALLEST else 0.0,
                model.input_zero_point[index] - 512,
            )
        )
    output = None
    if _EXACT and len(model.outputs) == 1 and model.output_scale[0] > _SMALLEST:
        output = model.outputs[0], model.output_scale[0], model.output_zero_point[0]
    model._edges = inputs, len(inputs), output
    return model._edges


def _fill(model, index, value):
    view = model.inputs[index]
    if callable(value):
        value(view)
        return
    raw = _int8s(value)
    if raw and model.input_dtype[index] == "b":
        _expect(model, index, len(raw))
        for i in range(len(raw)):
            view[i] = (raw[i] + 128 & 255) - 128
        return
    numbers: list = []
    _flatten(value, numbers, len(view))
    _expect(model, index, len(numbers))
    try:
        floats = struct.pack("<%df" % len(numbers), *[float(v) for v in numbers])
    except (OverflowError, TypeError, ValueError):
        raise InputError("input %d: not all items are numbers that fit a float32" % index)
    if model.input_dtype[index] == "f":
        as_bytes(view, 4)[:] = floats
    else:
        scale_m, scale_e = model._scales[0][index]
        quantize(floats, view, scale_m, scale_e, model.input_zero_point[index])


def _expect(model, index, count):
    if count != len(model.inputs[index]):
        raise InputError(
            "input %d has %d items, %s given: its shape is %s"
            % (
                index,
                len(model.inputs[index]),
                count,
                model.input_shape[index],
            )
        )


def _floats(model, index):
    view = model.outputs[index]
    if model.output_dtype[index] != "b":
        return array("f", view)
    scale = model._scales[1][index]
    zero_point = model.output_zero_point[index]
    return array("f", b"".join([float_bytes(v - zero_point, scale) for v in view]))


def _int8s(value):
    """The bytes of a buffer of single bytes; nothing of anything else."""
    if isinstance(value, str):  # on a board, text is a buffer
        return ()
    try:
        view = memoryview(value)
    except (TypeError, ValueError):
        return ()
    if CPYTHON:
        return bytes(view) if view.ndim and view.format in ("b", "B", "c") else ()
    # MicroPython's memoryview does not tell the size of its items.
    return view if len(bytes(view[:1])) == 1 else ()


def _flatten(value, into, limit, depth=0):
    """Appends numbers depth first, at most `limit`."""
    if isinstance(value, str) or len(into) > limit or depth > _DEEPEST:
        raise InputError("an input is text, nested too deep, or longer than the model's input")
    try:
        items = iter(value)
    except TypeError:
        into.append(value)
        return
    for item in items:
        _flatten(item, into, limit, depth + 1)
