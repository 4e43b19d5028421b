# ruff: noqa: RUF005, UP028, UP031
"""Runs on the VM. "viper N": N random layers against the portable kernels. "plans N": prints native
plans of N dense layers and some others. "model FILE": of every operator of a model that has one.
"hostile BATCH": of every model of a batch that loads.

A plan is printed with all the memory it refers to, so that the kernels' instructions can be run on
it elsewhere: `layer NAME MACS STRIP` (the width of depthwise strips it is for, or 0), `memory
ADDRESS HEX` (the plan's object among them; `file` for memory that later layers share), `call
ADDRESS`, `wanted ADDRESS HEX` with the portable result.
"""

import gc
import random
import struct
import sys
from array import array

import uctypes

from agent.cognition.engine import Model, ModelError, kernels
from agent.cognition.engine.kernels import native, viper
from agent.cognition.engine.ops import Context, conv
from agent.cognition.engine.ops import depthwise as depthwise_module
from agent.cognition.engine.ops.fully_connected import FullyConnected
from agent.cognition.engine.ops.lookup import Lookup
from agent.cognition.engine.ops.scaling import Scaling, four_rows


class File:
    """Stands for a model's reader: random bytes as a file's weights, or what is left of them."""

    def __init__(self, size, seed, mask):
        self.view = bytearray(size)
        for i in range(size):
            seed = (seed * 75 + 74) % 65537
            self.view[i] = seed >> 3 & mask


def layer(file, units, depth, rows, per_channel, shift, bits, mask):
    """A layer over a file of bytes, with some of them as its input, and its context."""
    context = Context(file)
    data = file.view
    count = units if per_channel else 1
    multipliers = [((1 << 30) + 9876543 * c + (data[c] << 18), shift - c % 3) for c in range(count)]
    bias = array("i", [(data[u] * 12345 & 0xFFFF) - 32768 for u in range(units)])
    for u in range(units):
        bias[u] = bias[u] << (bits - 15) if bits > 15 else bias[u] >> (15 - bits)
    x = array("b", [v - 128 for v in data[: rows * depth]])
    y = memoryview(array("b", bytes(rows * units)))
    weights = four_rows(data, len(data) - units * depth, units * depth, depth)
    zero_in = data[5] - 128
    scaling = Scaling(multipliers, bias, units, depth, max(zero_in + 128, 127 - zero_in))
    limits = (zero_in, (data[6] & 63) - 32, -128 + data[7] // 8, 127 - data[8] // 8)
    made = FullyConnected(context, memoryview(x), y, weights, bias, scaling, units, depth, limits)
    context.finish()
    return made


def dense(i):
    """A random layer; every fourth with small numbers and multipliers about 1."""
    units = random.choice((1, 2, 3, 4, 5, 9, 16))
    depth = random.choice((1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 31, 32, 33, 48, 64, 100, 300))
    rows = random.choice((1, 1, 2, 3))
    small = i % 4 == 3
    shift = random.choice((-1, -2, -3, 0) if small else (-8, -9, -10, -11))
    mask = 3 if small else 255
    bits = 4 if small else random.choice((8, 13, 24 if shift < -9 else 13))
    needed = units * depth + rows * depth + units + 16
    file = File(needed + random.randrange(8), i + 1, mask)
    made = layer(file, units, depth, rows, random.choice((False, True)), shift, bits, mask)
    return made, file


def convolution(i):
    groups = random.choice((1, 1, 1, 2))
    channels = groups * random.choice((1, 2, 3, 4))
    units = random.choice((1, 2, 3, 5))
    kernel = random.randrange(1, 4), random.randrange(1, 4)
    dilation = random.choice((1, 1, 2)), random.choice((1, 2))
    size = [(kernel[d] - 1) * dilation[d] + 1 + random.randrange(4) for d in (0, 1)]
    stride = random.choice((1, 1, 2)), random.choice((1, 2))
    pad = random.randrange(kernel[0]), random.randrange(kernel[1])
    out = [
        (size[d] + 2 * pad[d] - (kernel[d] - 1) * dilation[d] - 1) // stride[d] + 1 for d in (0, 1)
    ]
    depth = channels // groups
    terms = kernel[0] * kernel[1] * depth
    weights = terms * units * groups
    file = File(weights + random.randrange(8), i + 1, 255)
    bias = array("i", [random.getrandbits(12) - 2048 for _ in range(units * groups)])
    scales = units * groups if random.choice((False, True)) else 1
    multipliers = [((1 << 30) + random.getrandbits(29), -8 - c % 2) for c in range(scales)]
    geometry = (1, size[0], size[1], channels, out[0], out[1], units * groups)
    geometry += kernel + stride + dilation + pad + outer()
    context = Context(file)
    made = conv.Convolution(
        context,
        memoryview(noise(size[0] * size[1] * channels)),
        memoryview(array("b", bytes(out[0] * out[1] * units * groups))),
        four_rows(file.view, len(file.view) - weights, weights, terms),
        bias,
        Scaling(multipliers, bias, units * groups, terms, 255),
        geometry,
        groups,
    )
    context.finish()
    return made, file


def noise(count):
    return array("b", [random.getrandbits(8) - 128 for _ in range(count)])


def outer():
    """Zero points of input and output, lowest and highest output."""
    return random.getrandbits(8) - 128, random.getrandbits(6) - 32, -120, 119


def depthwise(i):
    """Small images mostly; some of several bands, multipliers, wide kernels."""
    bands = i % 8 == 0
    depth = 1 if bands else random.choice((1, 2, 3, 4, 5, 8))
    times = random.choice((1, 1, 1, 2, 3))
    channels = depth * times
    kernel = random.choice((1, 2, 3, 3, 4, 5, 7)), random.choice((1, 2, 3, 3, 4, 5, 7, 9))
    dilation = random.choice((1, 1, 2, 3)), random.choice((1, 1, 2, 3))
    reach = [(kernel[d] - 1) * dilation[d] + 1 for d in (0, 1)]
    stride = random.choice((1, 1, 2, 3)), random.choice((1, 1, 2, 3))
    out = 90 if bands else random.choice((1, 2, 3, 5)), random.choice((1, 2, 3, 6))
    pad = tuple([random.randrange((reach[d] + 1) // 2) for d in (0, 1)])
    # As SAME and VALID have it: the image ends within the last window.
    size = [
        max(1, (out[d] - 1) * stride[d] + reach[d] - 2 * pad[d] + random.randrange(stride[d]))
        for d in (0, 1)
    ]
    taps = kernel[0] * kernel[1]
    file = File(taps * channels, i + 1, 255)
    given = array("i", [random.getrandbits(12) - 2048 for _ in range(channels)])
    scales = channels if random.choice((False, True)) else 1
    # Some saturate nearly everywhere, some leave nothing.
    shift = -6 if i % 5 else (-1, -12, -19, -24)[i // 5 % 4]
    multipliers = [((1 << 30) + random.getrandbits(29), shift - c % 3) for c in range(scales)]
    geometry = (1, size[0], size[1], depth, out[0], out[1], channels)
    geometry += kernel + stride + dilation + pad + outer() + (times,)
    context = Context(file)
    made = depthwise_module.Depthwise(
        context,
        memoryview(noise(size[0] * size[1] * depth)),
        memoryview(array("b", bytes(out[0] * out[1] * channels))),
        four_rows(file.view, 0, taps * channels, 1),
        given,
        Scaling(multipliers, given, channels, taps, 511),
        geometry,
    )
    context.finish()
    return made, file


def lookup(i):
    made = object.__new__(Lookup)
    made._x = memoryview(noise(i + 1))
    made._y = memoryview(array("b", bytes(i + 1)))
    made._table = noise(256)
    return made, File(8, 1, 255)


def cases(count):
    for i in range(count):
        yield "dense%d" % i, dense(i)
    for i in range(count // 3):
        yield "convolution%d" % i, convolution(i)
        yield "depthwise%d" % i, depthwise(i)
    for i in range(5):
        yield "lookup%d" % i, lookup(i)


def show(address, content, kind="memory"):
    print(kind, address, bytes(content).hex())


def walk(kept):
    for each in kept:
        if isinstance(each, (list, tuple)):
            for inner in walk(each):
                yield inner
        elif isinstance(each, (array, bytearray, memoryview)):
            yield each


def show_all(buffers, data):
    """Their memory, without gaps where they overlap; what lies in the file is shown with it."""
    file = uctypes.addressof(data)
    spans = sorted([(uctypes.addressof(b), len(bytes(b))) for b in buffers])
    while spans:
        start, size = spans.pop(0)
        while spans and spans[0][0] < start + size:
            at, more = spans.pop(0)
            size = max(size, at + more - start)
        if size and not file <= start < file + len(data):
            show(start, uctypes.bytes_at(start, size))


def print_plan(name, made, data):
    """Prints the plan of one operator, if it has one; runs the operator, portably."""
    made.run()
    if type(made).__name__ not in ("Lookup", "FullyConnected", "Convolution", "Depthwise"):
        return
    result = bytes(made._y if type(made) is Lookup else made.y)
    for strip in (4, 3) if type(made) is depthwise_module.Depthwise else (0,):
        run = native.compiler(Shown.run, strip)([made], data)[0]
        Shown.plan = None
        run()
        if Shown.plan:
            show_plan(name, made, strip, Shown.plan, result, data)


class Shown(native.Plan):
    plan = None

    def run(self):
        Shown.plan = self


def show_plan(name, made, strip, plan, result, data):
    print("layer", name, macs(made), strip)
    y = made._y if type(made) is Lookup else made.y
    for i in range(len(y)):
        y[i] = 0
    show_all(list(walk(plan.kept)) + [plan], data)
    inner = struct.unpack("<I", uctypes.bytes_at(id(plan) + 16, 4))[0]
    show(id(plan), uctypes.bytes_at(id(plan), 20))
    show(inner, uctypes.bytes_at(inner, 16))
    print("call", id(plan))
    print("wanted", uctypes.addressof(y), result.hex())
    made.run()


def macs(made):
    kind = type(made).__name__
    if kind == "Lookup":
        return len(made._y)
    if kind == "FullyConnected":
        return len(made.y) * made.depth
    if kind == "Convolution":
        return len(made.y) * made.geometry[0][7] * made.geometry[0][8] * made.geometry[0][19]
    if kind == "Depthwise":
        return len(made.y) * made.geometry[7] * made.geometry[8]
    return 0


def print_model(source, prefix="", most=1 << 30):
    """As the engine loads it, with random input. most: larger layers are left out."""

    def program(prepared, data):
        def run():
            show(uctypes.addressof(data), data, "file")
            for kernel in prepared:
                if macs(kernel) <= most:
                    print_plan(prefix + type(kernel).__name__, kernel, data)

        return [run]

    kernels.program = program
    model = Model(source)
    for view in model.inputs:
        for i in range(len(view)):
            view[i] = random.getrandbits(8) - 128
    model.invoke()


def print_hostile(path):
    """Every model of a batch (see fuzz_on_vm.py) that loads; layers are named by its number."""
    with open(path, "rb") as batch:
        while True:
            header = batch.read(8)
            if not header:
                break
            number, size = struct.unpack("<II", header)
            try:
                print_model(batch.read(size), "%d:" % number, 20000)
            except ModelError:
                pass
            gc.collect()


def main():
    random.seed(7)
    if sys.argv[1] == "model":
        print_model(sys.argv[2])
        return
    if sys.argv[1] == "hostile":
        print_hostile(sys.argv[2])
        return
    for name, (made, file) in cases(int(sys.argv[2])):
        if sys.argv[1] == "plans":
            show(uctypes.addressof(file.view), file.view, "file")
            print_plan(name, made, file.view)
        elif not name.startswith("lookup"):
            made.run()
            result = bytes(made.y)
            for i in range(len(made.y)):
                made.y[i] = 0
            runs = viper.program([made], file.view)
            for run in runs:
                run()
            own = type(runs[0]) is type(made.run) and runs[0] != made.run
            print(name, bytes(made.y) == result, len(set(result)), own)


main()
