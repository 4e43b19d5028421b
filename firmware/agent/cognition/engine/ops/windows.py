"""What the operators that slide a window over an image share: geometry and multipliers.

C: tensorflow/lite/kernels/padding.h, PopulateConvolutionQuantizationParams in
tensorflow/lite/kernels/kernel_util.cc. An image is a tensor of (batch, height, width, channels); a
1-D convolution has a height or width of 1.
"""

from .. import schema
from ..float32 import DOUBLE_BITS, product, ratio
from . import activation_range

# What loaded models go on using of this module: see forget_loader().
RUN = ()

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


def layer(op, x, weights, bias, y, dimension, activation, transposed=0):
    """(multipliers, geometry) of a convolution; multipliers are one or one per channel.

    dimension: the weights' dimension of output channels. activation: its field in the options,
    after padding, stride_w and stride_h; dilations follow. transposed: the window slides over y and
    gives x.
    """
    options = op.options
    if not options:
        op.refuse("has no options")
    multipliers = _multipliers(op, x, weights, bias, y, dimension)
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
    return multipliers, (
        tuple(x.shape)
        + tuple(y.shape[1:])
        + tuple(weights.shape[1:3])
        + tuple(strides + dilations + pads)
        + (x.zero_point(), y.zero_point())
        + activation_range(op, y, options.i8(activation))
    )


def _multipliers(op, x, weights, bias, y, dimension):
    """(multiplier, shift) for every weight scale, in double as in C."""
    if not x or not weights:
        op.refuse("image or weights are left out")
    for tensor in (x, weights, y):
        if tensor.type != schema.INT8:
            op.refuse(
                "tensor %d is %s; int8 is supported: quantise the model to full int8"
                % (tensor.index, tensor.type_name)
            )
    if x.offset:
        op.refuse("its input, tensor %d, is a constant" % x.index)
    if not weights.offset or (bias and not bias.offset):
        op.refuse("weights and bias must be constants")
    images(op, x, y)
    channels = y.shape[3]
    if len(weights.shape) != 4 or weights.shape[dimension] != channels:
        op.refuse("weights of shape %s for %d channels" % (weights.shape, channels))
    if bias and (bias.type != schema.INT32 or bias.size != channels):
        op.refuse(
            "bias is %s of %d; int32 of %d is supported" % (bias.type_name, bias.size, channels)
        )
    if weights.scales != 1 and (weights.scales != channels or weights.dimension != dimension):
        op.refuse("%d weight scales for %d channels" % (weights.scales, channels))
    for channel in range(weights.scales):
        if weights.zero_point(channel):
            op.refuse("weights with a zero point; symmetric weights are supported")
    from ..fixed_point import quantize_multiplier

    source, target = x.scale(), y.scale()
    result = [
        quantize_multiplier(ratio(p, target, DOUBLE_BITS))
        for p in [product(source, weights.scale(c), DOUBLE_BITS) for c in range(weights.scales)]
    ]
    if max(shift for _, shift in result) > 30:
        op.refuse("output scale is too small for its input and weight scales")
    return result
