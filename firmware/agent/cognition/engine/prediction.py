"""Numbers in a model's own units: quantises inputs, runs it, dequantises outputs."""

import struct
from array import array

from .errors import InputError
from .float32 import float_bytes, quantize
from .views import as_bytes


def predict(model, inputs):
    """Model.predict()."""
    if len(inputs) != len(model.inputs):
        raise InputError("%d inputs given, the model has %d" % (len(inputs), len(model.inputs)))
    for i, value in enumerate(inputs):
        _fill(model, i, value)
    model.invoke()
    return [_floats(model, i) for i in range(len(model.outputs))]


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
    scale = model._scales[1][index]
    zero_point = model.output_zero_point[index]
    return array("f", [struct.unpack("<f", float_bytes(v - zero_point, scale))[0] for v in view])


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
