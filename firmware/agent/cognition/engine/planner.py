"""Where each activation lies in the arena.

Liveness first: a tensor is alive from the operator that computes it to the last that reads it. Then
greedy, as TFLite-Micro's GreedyMemoryPlanner: one tensor after the other, the largest first, each
at the lowest 16-byte aligned offset where it overlaps no tensor that is alive at the same time.
Greedy placement depends on the order, so a few orders are tried, TFLite-Micro's own among them.

There are two plans, and the one with the smaller arena is taken. In the first a RESHAPE shares its
input's bytes, and int32 tensors, known at load, have none. Nearly always it is the smaller one. But
greedy placement may end higher with less to place, or with what lives longer. The second is for
all that TFLite-Micro places, copies of a RESHAPE and scratch buffers included: no arena is larger
than TFLite-Micro's.

A model's inputs may be overwritten once they are read, as in TFLite-Micro, unless the caller asks
to keep them.
"""

from . import ops
from .schema import INT32

ALIGNMENT = 16

# From so many spans on only the first order is tried: time grows with the square of their number.
_MANY = 256


class Span:
    """Bytes needed from operator `first` to operator `last`, both included."""

    view = None  # of the arena, when it is placed

    def __init__(self, size: int, first: int, last: int, tensor: int = 0):
        self.size = size
        self.padded = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1)
        self.first = first
        self.last = last
        self.tensor = tensor
        self.begin = 0


# Total orders: MicroPython's sort is not stable, and the arena must be the same everywhere.
_ORDERS = (
    lambda s: (-s.padded, -s.tensor),  # GreedyMemoryPlanner's
    lambda s: (-s.size, s.first, s.last, s.tensor),
    lambda s: (s.first - s.last, -s.size, s.tensor),
    lambda s: (s.first, -s.size, s.tensor),
)


def place(spans):
    """Sets the offset of every span and returns the size of the arena in bytes."""
    best = 0
    few = len(spans) < _MANY
    least = _least(spans) if few else 0
    for order in _ORDERS:
        end, offsets = _greedy(sorted(spans, key=order))
        if not best or end < best:
            best = end
            for span, offset in offsets:
                span.begin = offset
        if best <= least or not few:
            break
    return best


def _least(spans):
    """The most bytes alive at one time, all but one of them aligned: no arena is smaller."""
    most = 0
    for span in spans:
        total = padding = 0
        for other in spans:
            if other.first <= span.first <= other.last:
                total += other.padded
                padding = max(padding, other.padded - other.size)
        most = max(most, total - padding)
    return most


def _greedy(spans: list) -> tuple:
    """(size of the arena, (span, offset) of each) for spans placed in this order."""
    placed: list = []  # in order of offset
    end = 0
    for span in spans:
        offset = 0
        for other, start in placed:
            if other.last < span.first or span.last < other.first:
                continue
            if start >= offset + span.size:
                break
            offset = max(offset, start + other.padded)
        end = max(end, offset + span.size)
        position = 0
        for _, start in placed:
            position += start <= offset
        placed.insert(position, (span, offset))
    return end, placed


def plan(graph, keep_inputs=False):
    """Placed spans by tensor index, of the smaller of both plans."""
    spans = lifetimes(graph, keep_inputs)
    shared = set(spans.values())
    size = place(shared)
    in_c = lifetimes(graph, keep_inputs, True)
    more = len(in_c) > len(shared) and size > _least(shared)
    if more and place(set(in_c.values())) < size:
        return in_c
    return spans


def lifetimes(graph, keep_inputs, as_in_c=False):
    """Span of every activation by tensor index. as_in_c: for the second plan; scratch buffers have
    the numbers after the last tensor's.
    """
    spans: dict = {}
    scratch = len(graph.tensors)
    for tensor in graph.inputs:
        spans[tensor.index] = Span(tensor.bytes, -1, -1, tensor.index)
    for op in graph.operators:
        for tensor in op.inputs:
            if tensor and tensor.index in spans:
                spans[tensor.index].last = op.index
        for tensor in op.outputs:
            if as_in_c or tensor.type != INT32:
                span = Span(tensor.bytes, op.index, op.index, tensor.index)
                if not as_in_c and ops.shares(op):
                    span = spans.get(op.inputs[0].index, span)
                spans[tensor.index] = span
        if as_in_c:
            for size in ops.scratch(op):
                spans[scratch] = Span(size, op.index, op.index, scratch)
                scratch += 1
    for tensor in graph.outputs + (graph.inputs if keep_inputs else []):
        if tensor.index in spans:
            spans[tensor.index].last = len(graph.operators)
    return spans
