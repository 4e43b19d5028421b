"""RESHAPE, SQUEEZE, EXPAND_DIMS: the output lies in the arena where the input lies (see planner).

The shape is the output tensor's own, as in C: what the other input, the options or a computed shape
say is not needed. SHAPE is known when the model is loaded. Nothing runs.
"""

from .. import schema
from .walk import known, target


def prepare(context, op):
    shape = op.name == "SHAPE"
    if shape:
        op.exactly(1)
    else:
        op.shaped(1, 2)
        op.same_size()
    x, y = op.inputs[0], op.outputs[0]
    if shape:
        if y.type != schema.INT32 or y.shape != (len(x.shape),):
            op.refuse("output is %s of shape %s" % (y.type_name, y.shape))
        sizes = target(op, y)
        for i, size in enumerate(x.shape):
            sizes[i] = size
    elif x.type != y.type:
        op.refuse("input is %s, output %s" % (x.type_name, y.type_name))
    elif y.type == schema.INT32:
        y.data = known(context, op, x)
