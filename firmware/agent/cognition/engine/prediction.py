"""Numbers in a model's own units: quantises inputs, runs it, dequantises outputs.

Results are those of C's float. The machine's own floats, whatever their width, are used where they
cannot give another: for a quotient that is not near a tie of the rounding, and for products where
they have at least 24 bits. The rest is done on the bits (float32.py).
"""

import struct
from array import array

from .errors import InputError
from .float32 import float_bytes, quantize
from .views import as_bytes

# MicroPython may keep floats in 30 bits. Not written as an expression: mpy-cross would compute it.
_EXACT = float("1.0000001") != 1

# Below this, numbers could be subnormal, which not every processor computes as IEEE 754 has it.
_SMALLEST = 1e-30


def predict(model, inputs):
    """Model.predict()."""
    if len(inputs) != len(model.inputs):
        raise InputError("%d inputs given, the model has %d" % (len(inputs), len(model.inputs)))
    index = 0
    for value in inputs:
        if not (isinstance(value, (list, tuple)) and _quantise(model, index, value)):
            _fill(model, index, value)
        index += 1
    model.invoke()
    outputs = []
    for index in range(len(model.outputs)):
        outputs.append(_floats(model, index))
    return outputs


def _quantise(model, index, values):
    """Sets an input to plain numbers; False where another way has to be taken for any of them.

    The quotient is off by less than 2**-8 for floats of 22 bits or more, and a tie is farther than
    that from all it accepts: so it rounds as the exact one does.
    """
    view = model.inputs[index]
    scale = model.input_scale[index]
    if len(values) != len(view) or scale < _SMALLEST:
        return False
    zero_point = model.input_zero_point[index] - 512
    i = 0
    try:
        for v in values:
            if not isinstance(v, (float, int)):
                return False
            v /= scale
            if not -400 < v < 400:
                return False
            v += 512.5
            q = int(v)
            if not 0.0078125 < v - q < 0.9921875:
                return False
            q += zero_point
            view[i] = -128 if q < -128 else 127 if q > 127 else q
            i += 1
    except ArithmeticError:
        return False
    return True


def _fill(model, index, value):
    view = model.inputs[index]
    if callable(value):
        value(view)
        return
    raw = _int8_buffer(value)
    if raw is not None and model.input_dtype[index] == "b":
        _expect(model, index, len(raw))
        for i in range(len(view)):
            v = raw[i]
            view[i] = v - 256 if v > 127 else v
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
    scale = model.output_scale[index]
    zero_point = model.output_zero_point[index]
    if not _EXACT or scale < _SMALLEST:
        number = model._scales[1][index]
        return array("f", b"".join([float_bytes(v - zero_point, number) for v in view]))
    values = array("f", view)
    i = 0
    for v in view:
        values[i] = (v - zero_point) * scale
        i += 1
    return values


def _int8_buffer(value):
    """A view of the value's bytes where it is a buffer of single bytes, else None."""
    try:
        view = memoryview(value)
    except TypeError:
        return None
    # MicroPython's memoryview does not tell the size of its items.
    return view if len(bytes(view[:1])) == 1 else None


def _flatten(value, into, limit):
    """Appends numbers depth first, at most `limit`."""
    try:
        items = iter(value)
    except TypeError:
        into.append(value)
        return
    for item in items:
        if isinstance(item, str) or len(into) > limit:
            raise InputError("an input is text, or longer than the model's input")
        _flatten(item, into, limit)
