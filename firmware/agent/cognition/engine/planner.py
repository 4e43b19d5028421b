"""Where each activation lies in the arena.

Liveness first: a tensor is alive from the operator that computes it to the last that reads it. Then
greedy by size, as TFLite-Micro's GreedyMemoryPlanner: the largest tensor first, each at the lowest
16-byte aligned offset where it overlaps no tensor that is alive at the same time.

Two deliberate differences from TFLite-Micro: a model's inputs stay alive to the end, so that
invoke() may be repeated after changing a single feature; and a RESHAPE shares its input's bytes
instead of copying them.
"""

ALIGNMENT = 16


class Span:
    """Bytes needed from operator `first` to operator `last`, both included."""

    def __init__(self, size: int, first: int, last: int):
        self.size = size
        self.first = first
        self.last = last
        self.offset = 0


def place(spans: list) -> int:
    """Sets the offset of every span and returns the size of the arena in bytes."""
    placed: list = []
    end = 0
    # A total order: MicroPython's sort is not stable, and the arena must be the same everywhere.
    for span in sorted(spans, key=lambda s: (-s.size, s.first, s.last)):
        offset = 0
        for other in placed:  # kept in order of offset
            if other.last < span.first or span.last < other.first:
                continue
            if other.offset >= offset + span.size:
                break
            offset = max(offset, aligned(other.offset + other.size))
        span.offset = offset
        end = max(end, offset + span.size)
        position = 0
        while position < len(placed) and placed[position].offset <= offset:
            position += 1
        placed.insert(position, span)
    return end


def aligned(size: int) -> int:
    return (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1)


def lifetimes(graph, shares):
    """Span of every activation by tensor index. `shares(operator)`: output lies on its input."""
    spans: dict = {}
    end = len(graph.operators)
    for tensor in graph.inputs:
        spans[tensor.index] = Span(tensor.bytes, -1, end)
    for operator in graph.operators:
        for tensor in operator.inputs:
            if tensor and tensor.index in spans:
                span = spans[tensor.index]
                span.last = max(span.last, operator.index)
        for tensor in operator.outputs:
            if shares(operator) and operator.inputs[0].index in spans:
                spans[tensor.index] = spans[operator.inputs[0].index]
            else:
                spans[tensor.index] = Span(tensor.bytes, operator.index, operator.index)
    for tensor in graph.outputs:
        spans[tensor.index].last = end
    return spans
