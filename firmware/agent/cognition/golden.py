"""A model's golden rows (docs/bundle.md): computed by TFLite-Micro, compared byte for byte."""


def rows(listed, model):
    """A manifest's golden rows as [(inputs, outputs)], tuples of int8. Raises ValueError."""
    if not isinstance(listed, list) or not listed:
        raise ValueError("it has no golden rows")
    found = []
    for row in listed:
        if not isinstance(row, dict):
            raise ValueError("a golden row is not an object")
        given = bytes_of(row.get("in"))
        wanted = bytes_of(row.get("out"))
        if len(given) != len(model.inputs[0]) or len(wanted) != len(model.outputs[0]):
            raise ValueError("a golden row does not fit the model")
        found.append((given, wanted))
    return found


def difference(model, row):
    """Runs the model on one of rows(). The first output that is wrong as (is, should be), or
    None.
    """
    given, wanted = row
    view = model.inputs[0]
    for i in range(len(view)):
        view[i] = given[i]
    model.invoke()
    out = model.outputs[0]
    for i in range(len(out)):
        if out[i] != wanted[i]:
            return out[i], wanted[i]
    return None


def bytes_of(row):
    """A row of int8 values, checked. Raises ValueError."""
    if not isinstance(row, list):
        raise ValueError("a row of int8 values is needed")
    return tuple([int8(value) for value in row])


def int8(value):
    """The value if it is one. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not -128 <= value <= 127:
        raise ValueError("%r is not an int8 value" % (value,))
    return value
