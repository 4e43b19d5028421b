"""What the operators that slide a window over an image share: geometry.

C: tensorflow/lite/kernels/padding.h. An image is a tensor of (batch, height, width, channels); a
1-D convolution has a height or width of 1.
"""

from . import activation_range
from .scaling import weighted

# What loaded models go on using of this module: see forget_loader().
RUN = ""

# enum Padding
_SAME = 0
_VALID = 1

# Positions stay small ints, and no real model comes near.
_MOST = 1 << 15


def span(op, padding, size, kernel, stride, dilation):
    """(outputs, padding before the first) along one dimension."""
    if not (0 < stride < _MOST and 0 < dilation < _MOST and 0 < kernel < _MOST and size < _MOST):
        op.refuse("kernel %d, stride %d, dilation %d on %d" % (kernel, stride, dilation, size))
    reach = (kernel - 1) * dilation + 1
    if padding == _SAME:
        count = (size + stride - 1) // stride
    elif padding == _VALID:
        count = (size + stride - reach) // stride
    else:
        op.refuse("padding %d; SAME and VALID are supported" % padding)
    return count, max(0, (count - 1) * stride + reach - size) // 2


def images(op, *tensors):
    """Refuses unless all are images of one batch size."""
    for tensor in tensors:
        if len(tensor.shape) != 4 or tensor.shape[0] != tensors[0].shape[0]:
            op.refuse("shapes %s; images are supported" % ([t.shape for t in tensors],))


def layer(context, op, x, weights, bias, dimension, activation, further=0, transposed=0):
    """(biases, Scaling, geometry) of a convolution. further: see weighted().

    dimension: the weights' dimension of output channels. activation: its field in the options,
    after padding, stride_w and stride_h; dilations follow. transposed: the window slides over y and
    gives x.
    """
    options = op.options
    if not options:
        op.refuse("has no options")
    y = op.outputs[0]
    values, scaling = weighted(context, op, x, weights, bias, 4, dimension, further)
    images(op, x, y)
    if weights.shape[dimension] != y.shape[3]:
        op.refuse("weights of shape %s for %d channels" % (weights.shape, y.shape[3]))
    places = []
    strides = []
    dilations = []
    pads = []
    over, gives = (y, x) if transposed else (x, y)
    for i in (1, 2):
        stride = options.i32(3 - i)
        dilation = 1 if transposed else options.i32(activation + 3 - i, 1)
        count, pad = span(op, options.i8(0), over.shape[i], weights.shape[i], stride, dilation)
        places.append(count)
        strides.append(stride)
        dilations.append(dilation)
        pads.append(pad)
    if tuple(places) != tuple(gives.shape[1:3]):
        op.refuse("%s by %s gives no %s" % (x.shape, weights.shape, y.shape))
    return (
        values,
        scaling,
        (
            tuple(x.shape)
            + tuple(y.shape[1:])
            + tuple(weights.shape[1:3])
            + tuple(strides + dilations + pads)
            + (x.zero_point(), y.zero_point())
            + activation_range(op, y, activation)
        ),
    )
