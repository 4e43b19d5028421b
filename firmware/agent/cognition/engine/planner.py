"""Where each activation lies in the arena.

Liveness first: a tensor is alive from the operator that computes it to the last that reads it. Then
greedy, as TFLite-Micro's GreedyMemoryPlanner: one tensor after the other, the largest first, each
at the lowest 16-byte aligned offset where it overlaps no tensor that is alive at the same time.
Greedy placement depends on the order, so a few orders are tried, TFLite-Micro's own among them, and
the smallest arena is taken.

A RESHAPE shares its input's bytes instead of copying them. A model's inputs may be overwritten once
they are read, as in TFLite-Micro, unless the caller asks to keep them.
"""

ALIGNMENT = 16

# From so many spans on only the first order is tried: time grows with the square of their number.
_MANY = 256


class Span:
    """Bytes needed from operator `first` to operator `last`, both included."""

    def __init__(self, size: int, first: int, last: int, tensor: int = 0):
        self.size = size
        self.first = first
        self.last = last
        self.tensor = tensor
        self.begin = 0


# Total orders: MicroPython's sort is not stable, and the arena must be the same everywhere.
_ORDERS = (
    lambda s: (-aligned(s.size), -s.tensor),  # GreedyMemoryPlanner's
    lambda s: (-s.size, s.first, s.last, s.tensor),
    lambda s: (s.first - s.last, -s.size, s.tensor),
    lambda s: (s.first, -s.size, s.tensor),
)


def place(spans: list) -> int:
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


def _least(spans: list) -> int:
    """The most bytes alive at one time: no arena is smaller."""
    most = 0
    for span in spans:
        total = 0
        for other in spans:
            if other.first <= span.first <= other.last:
                total += other.size
        most = max(most, total)
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
            offset = max(offset, aligned(start + other.size))
        end = max(end, offset + span.size)
        position = 0
        while position < len(placed) and placed[position][1] <= offset:
            position += 1
        placed.insert(position, (span, offset))
    return end, placed


def aligned(size: int) -> int:
    return (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1)


def lifetimes(graph, shares, keep_inputs=False):
    """Span of every activation by tensor index. `shares(operator)`: output lies on its input."""
    spans: dict = {}
    end = len(graph.operators)
    for tensor in graph.inputs:
        spans[tensor.index] = Span(tensor.bytes, -1, end if keep_inputs else -1, tensor.index)
    for operator in graph.operators:
        for tensor in operator.inputs:
            if tensor and tensor.index in spans:
                span = spans[tensor.index]
                span.last = max(span.last, operator.index)
        for tensor in operator.outputs:
            if shares(operator) and operator.inputs[0].index in spans:
                spans[tensor.index] = spans[operator.inputs[0].index]
            else:
                spans[tensor.index] = Span(
                    tensor.bytes, operator.index, operator.index, tensor.index
                )
    for tensor in graph.outputs:
        spans[tensor.index].last = end
    return spans
