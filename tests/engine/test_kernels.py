"""Kernel sets: the native code run instruction by instruction, viper on the VM, which is chosen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cognition.engine import Model, kernels
from agent.cognition.engine.kernels import check, choice
from agent.cognition.engine.ops import Context
from agent.cognition.engine.ops.conv import Convolution
from agent.cognition.engine.ops.depthwise import Depthwise
from agent.cognition.engine.ops.fully_connected import FullyConnected
from agent.cognition.engine.ops.scaling import four_rows
from benchmarks import assembled
from benchmarks import chip as emulated
from host.devices import build
from host.devices.assembler import AssemblyError, assemble, listing, read
from host.devices.assembler.machine import Fault, Machine
from host.devices.mpy import callable_asm, compile_source
from tests.engine import hostile_plans
from tests.engine.conftest import model_path

SCRIPT = Path(__file__).with_name("on_vm_kernels.py")
LAYERS = 210

# mpy-cross's number of an architecture, as sys.implementation._mpy carries it.
XTENSAWIN, RV32IMC, X86 = 10 << 10, 11 << 10, 1 << 10


def source(name: str) -> str:
    return read(build.NATIVE / f"{name}.s")


@pytest.mark.parametrize(
    ("machine", "chip"),
    [
        ("Generic ESP32 module with ESP32", "ESP32"),
        ("TinyPICO with ESP32-PICO-D4", "ESP32"),
        ("Board with ESP32-D0WDQ6", "ESP32"),
        ("Generic ESP32S3 module with Octal-SPIRAM with ESP32S3", "ESP32S3"),
        ("LOLIN_S2_MINI with ESP32-S2FN4R2", "ESP32S2"),
        ("ESP32C3 module with ESP32C3", "ESP32C3"),
        ("Board with ESP32-C6", "ESP32C6"),
        ("Board with ESP32H2", ""),
        ("Board with ESP32P4", ""),
        ("Raspberry Pi Pico with RP2040", ""),
        ("minimal with unknown-cpu", ""),
        ("ESP32", ""),
        ("", ""),
    ],
)
def test_chip(machine, chip):
    assert choice.chip_of(machine) == chip


@pytest.mark.parametrize(
    ("platform", "machine", "mpy", "sets"),
    [
        ("esp32", "x with ESP32", XTENSAWIN, ["esp32", "viper", "portable"]),
        ("esp32", "x with ESP32S3", XTENSAWIN, ["esp32", "viper", "portable"]),
        ("esp32", "x with ESP32-S2", XTENSAWIN, ["esp32s2", "viper", "portable"]),
        ("esp32", "x with ESP32C6", RV32IMC, ["rv32", "viper", "portable"]),
        ("esp32", "x with ESP32P4", RV32IMC, ["viper", "portable"]),
        # A name that does not go with the architecture is not believed.
        ("esp32", "x with ESP32C3", XTENSAWIN, ["viper", "portable"]),
        ("esp32", "x with ESP32", 0, ["portable"]),
        ("linux", "x with ESP32", XTENSAWIN, ["viper", "portable"]),
        ("linux", "", X86, ["viper", "portable"]),
        ("linux", "", 0, ["portable"]),
    ],
)
def test_candidates(platform, machine, mpy, sets):
    assert choice.candidates(platform, machine, mpy) == sets


def test_portable_here():
    assert kernels.NAME == "portable"
    assert kernels.select(["esp32", "viper", "no such set"]) == "portable"
    assert Model(str(model_path("hello_world"))).kernels == "portable"


def operator(made, data):
    """The portable operator of a layer of the self-check: same data, same output."""
    context = Context(type("Reader", (), {"view": data}))
    kind, size = type(made).__name__, len(made.weights[0])
    row = 1 if kind == "Depthwise" else size // len(made.bias)
    weights = four_rows(data, len(data) - size, size, row)
    if kind == "FullyConnected":
        shape = made.units, made.depth, made.limits
        real = FullyConnected(context, made.x, made.y, weights, made.bias, made, *shape)
    elif kind == "Convolution":
        geometry = tuple(made.geometry[0][:19])
        real = Convolution(context, made.x, made.y, weights, made.bias, made, geometry, 1)
    else:
        # Its biases have the zero point's share in them already.
        given = [
            bias + made.limits[0] * sum(made.weights[0][c :: len(made.bias)])
            for c, bias in enumerate(made.bias)
        ]
        real = Depthwise(context, made.x[0], made.y, weights, given, made, made.geometry)
        assert list(real.bias) == list(made.bias)
    context.finish()
    return real


@pytest.mark.parametrize("wrong", [None, *range(4)])
def test_self_check_notices(wrong):
    """One unit off in a layer, a layer not run, input order, a broken activation."""

    def program(prepared, data):
        (made,) = prepared
        real = operator(made, data)

        def run():
            if wrong == 1:
                return
            if wrong == 2:
                (made.x[0] if isinstance(made.x, tuple) else made.x)[0] ^= 1
            real.run()
            if wrong == 0:
                made.y[-1] ^= 1
            if wrong == 3:
                made.y[0] = 127

        return [run]

    assert check.proved(program) == (wrong is None)


def test_layers_of_the_self_check_tell_something():
    for made in check._cases():
        operator(made, made.view).run()
        largest = max(abs(v) for v in made.bias) + len(made.weights[0]) // len(made.bias) * 65025
        assert largest < 1 << 27
        assert len(set(made.y)) > len(made.y) // 4, (type(made).__name__, list(made.y))


@pytest.mark.vm
def test_viper_on_the_vm(run_on_vm):
    lines = [line.split() for line in run_on_vm(SCRIPT, "viper", LAYERS)]
    assert len(lines) == LAYERS + 2 * (LAYERS // 3)
    assert [name for name, equal, _, _ in lines if equal != "True"] == []
    assert sum(int(values) for _, _, values, _ in lines) > 5 * LAYERS
    assert sum(own == "True" for _, _, _, own in lines) > 0.9 * len(lines)


@pytest.fixture(scope="module")
def plans(run_on_vm) -> list[str]:
    return run_on_vm(SCRIPT, "plans", LAYERS)


@pytest.mark.vm
@pytest.mark.parametrize("name", ["esp32", "esp32s2", "rv32"])
def test_native_code_on_plans_of_the_vm(plans, name):
    """Plans made on a 32-bit VM, run on nothing but the memory they may touch."""
    layers = list(assembled.ran(plans, name))
    assert [layer.name for layer in layers if not layer.equal] == []
    assert sum(layer.name.startswith("dense") for layer in layers) > 0.9 * LAYERS
    for kind in ("convolution", "depthwise"):
        assert sum(layer.name.startswith(kind) for layer in layers) == LAYERS // 3


@pytest.mark.vm
def test_plans_of_mutated_models(vm):
    """No native kernel leaves the memory of its plan, whatever file the plan comes from."""
    files = hostile_plans.batch(0, 300, 1, hostile_plans.seeds())
    layers, wrong = hostile_plans.checked(list(vm.argv), files)
    assert wrong == []
    assert layers > 200


def first(lines: list[str], kind: str) -> Iterator[str]:
    """The file, and the first layer of a kind: for every width of strips, if there are several."""
    current, seen = "", set()
    for line in lines:
        word, *rest = line.split()
        if word == "layer":
            current = line if rest[0] == kind and rest[2] not in seen else ""
            seen |= {rest[2]} if rest[0] == kind else set()
        if current or word == "file":
            yield line


# Instructions per multiply-accumulate of a model's first layer of a kind; the call from Python
# comes on top.
@pytest.mark.vm
@pytest.mark.parametrize(
    ("model", "name", "kind", "most"),
    [
        ("hello_world", "esp32", "FullyConnected", 90),
        ("ad01", "esp32", "FullyConnected", 2.4),
        ("ad01", "rv32", "FullyConnected", 5),
        ("kws_ref_model", "esp32", "Convolution", 3.8),
        ("kws_ref_model", "esp32", "Depthwise", 6.3),
        ("kws_ref_model", "esp32s2", "Depthwise", 9),
        ("kws_ref_model", "rv32", "Depthwise", 9),
    ],
)
def test_instructions(run_on_vm, model, name, kind, most):
    lines = first(run_on_vm(SCRIPT, "model", model_path(model)), kind)
    (layer,) = assembled.ran(lines, name)
    assert layer.equal
    assert layer.instructions / layer.macs < most


def test_machine_faults_outside_its_memory():
    text = ".func f\n    l32i a2, a5, 0\n    l32i a2, a2, 0\n"
    machine = Machine(listing(text, "xtensa")["f"], "xtensa")
    machine.memory.add(0x1000, bytes(6))
    machine.run([0x1000])
    for address in (0x1004, 0x2000, 0x1001):
        with pytest.raises(Fault):
            Machine(listing(text, "xtensa")["f"], "xtensa").run([address])


# As llvm-mc 22 encodes them (--arch=xtensa --mattr=+mac16,+loop,+density; --arch=riscv32).
ENCODED = {
    "xtensa": {
        "slli a5, a5, 8": "805511",
        "srai a11, a11, 7": "b0b721",
        "extui a12, a11, 31, 1": "b0cf05",
        "mulsh a11, a11, a9": "90bbb2",
        "src a9, a10, a9": "909a81",
        "ssai 30": "104e40",
        "movi a2, -1": "22afff",
        "addi.n a6, a6, 1": "1b66",
        "wsr.acchi a11": "b01113",
        "ldinc m0, a13": "040d80",
        "mula.da.ll.ldinc m1, a13, m0, a12": "c41d48",
        "mula.da.hh m1, a11": "b4406b",
        "bbsi a12, 31, 9": "f7fcfc",
    },
    "rv32": {
        "lb a5, a1, -3": "8387d5ff",
        "sw s3, sp, 12": "23263101",
        "srai a4, a4, 31": "1357f741",
        "xori a7, a6, -1": "9348f8ff",
        "bne a2, s3, 0": "63103601",
        "j 0": "6f000000",
    },
}


@pytest.mark.parametrize(
    ("architecture", "line", "code"),
    [(a, line, code) for a, lines in ENCODED.items() for line, code in lines.items()],
)
def test_encodings(architecture, line, code):
    assert assemble(f".func f\n{line}\n", architecture)["f"].hex() == code


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nop\n", "before the first .func"),
        (".func f\nfrobnicate a1\n", "line 2: no instruction 'frobnicate'"),
        (".func f\nmovi a1, 4000\n", "does not fit 12 bits"),
        (".func f\nl32i a1, a2, 3\n", "not a multiple of 4"),
        (".func f\nj nowhere\n", "unknown name 'nowhere'"),
        (".func f\nx:\nx:\n", "defined twice"),
        (".macro m a\nnop\n", ".macro without .endm"),
        (".macro m a\nnop\n.endm\n.func f\nm 1, 2\n", "m takes 1 operands"),
        (".func f\nnop.n\nloopnez a3, e\nnop\ne:\n", "straddles a word"),
    ],
)
def test_assembly_errors(text, reason):
    with pytest.raises(AssemblyError, match=reason.replace(".", r"\.")):
        assemble(text, "xtensa")


@pytest.mark.parametrize("chip", sorted(build.CHIPS))
def test_native_modules_can_be_called(chip):
    """Each holds its code, and no raw code of kind 5 is left, which stock images do not know."""
    spec = build.CHIPS[chip]
    mpy = build.native_module(spec.kernels, spec.march, spec.assembler)
    assert assemble(source(spec.kernels), spec.assembler)["run"] in mpy
    assert len(mpy) < 2400
    # Relabelled once more nothing changes: what is left is viper.
    assert callable_asm(mpy) == mpy


def test_relabelling_keeps_everything_else():
    text = "X = ('a', 7, b'q')\ndef g(a):\n    return [a, 1.5, 'long string']\n"
    plain = compile_source(text, "x.py", "xtensawin")
    assert callable_asm(plain) == plain


@pytest.mark.slow
def test_board_files():
    files = build.board_files("esp32")
    engine = {name: data for name, data in files.items() if name.startswith(build.KERNELS[:22])}
    assert f"{build.KERNELS}/native_esp32.mpy" in engine
    viper = {f"{build.KERNELS}/viper.mpy", f"{build.KERNELS}/viper_loops.mpy"}
    assert viper.isdisjoint(engine)
    assert viper & set(build.board_files("esp32", every_set=True))
    # Plans are made by the names of the operators' classes.
    planner = engine[f"{build.KERNELS}/native.mpy"]
    for module, name in (("conv", b"Convolution"), ("depthwise", b"Depthwise")):
        assert name in planner
        assert name in engine[f"{build.KERNELS[:-7]}ops/{module}.mpy"]
    assert files["main.py"]
    others = {name for name in files if not name.endswith(".mpy")}
    assert others == {"boot.py", "main.py", f"{build.ENGINE}/texts.txt"}
    assert not any(name.startswith(("native", "simulated")) for name in files)


# A set is chosen only if it passes the self-check.
ON_CHIP = """
from agent.cognition.engine import kernels
print(kernels.NAME)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("chip", ["esp32", "esp32c3"])
def test_on_an_emulated_chip(chip):
    if not emulated.available():
        pytest.skip(f"{emulated.VARIABLE} names no emulator of the chips")
    name = build.CHIPS[chip].kernels
    answer = emulated.run(chip, emulated.engine_files(chip, ON_CHIP), ON_CHIP, [])
    assert answer.output.split() == [name]
