"""The LSTM's LOGISTIC and TANH, int16, from Q3.12 to Q0.15.

C: tensorflow/lite/kernels/internal/reference/integer_ops/{logistic,tanh}.h, the table in
tensorflow/lite/kernels/internal/common.h.
"""

from array import array

# What loaded models go on using of this module: see forget_loader().
RUN = "logistic tanh _LOGISTIC"

# logistic(i / 24) in Q0.16 is the reference's own table, which is not always the nearest integer.
# Here are its second differences, 12 added to each, two to a byte; kept whole it would take 512.
_SECOND_DIFFERENCES = (
    b"\xba\xc8\xa8\x96\x86\x65\x64\x44\x34\x23\x22\x22\x12\x11\x11\x12\x02\x02\x12\x12\x13\x13"
    b"\x22\x34\x23\x44\x43\x54\x55\x55\x65\x65\x85\x76\x86\x87\x87\x88\x88\x98\x98\x99\xa8\xa9"
    b"\x9a\xaa\x9a\xab\x9b\xaa\xac\x9b\xbb\xab\xbb\xba\xcb\xba\xda\xbc\xbc\xac\xcb\xbc\xbc\xbc"
    b"\xcb\xbc\xcc\xbb\xdb\xcc\xbc\xcb\xdb\xcc\xbc\xdb\xbd\xcb\xcc\xcc\xcc\xbd\xbc\xcd\xad\xcc"
    b"\xcb\xdb\xdb\xcd\xbc\xcc\xcc\xcc\xcc\xbd\xcc\xbd\xcb\xdb\xdb\xdb\xdb\xcd\xbd\xbc\xdb\xcc"
    b"\xdb\xcc\xdb\xcc\xcd\xbc\xcc\xcd\xbc\xcc\xcc\xcd\xbc\xcc\xcc\xcc\xcd\x00"
)


def _table():
    result = array("H")
    value, step = 32768, 683
    for pair in _SECOND_DIFFERENCES:
        for difference in (pair >> 4, pair & 15):
            result.append(value)
            value += step
            step += difference - 12
    return result


_LOGISTIC = _table()


def logistic(x):
    """logistic(x / (3 * 2**12)) in Q0.15: the table, interpolated."""
    v = -x if x < 0 else x
    k = v >> 9
    if k >= 255:
        v = 0x7FFF << 10
    else:
        low = _LOGISTIC[k]
        v = (low << 9) + (v & 511) * (_LOGISTIC[k + 1] - low)
    return (v + 512 if x >= 0 else (1 << 25) - v + 511) >> 10


def tanh(x):
    """tanh(x / (3 * 2**12)) in Q0.15, as 2 * logistic(2 x) - 1."""
    v = -x if x < 0 else x
    k = v >> 8
    if k >= 255:
        v = 0xFFFF << 8
    else:
        low = _LOGISTIC[k]
        v = (low << 8) + (v & 255) * (_LOGISTIC[k + 1] - low)
    return (v - (1 << 23) + 128 if x >= 0 else (1 << 23) - v + 127) >> 8
