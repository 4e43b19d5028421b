"""What a model costs and why one is refused, before anything is deployed."""

import json
import random
import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cognition.engine import Model, ModelError
from benchmarks.engine import cases, native
from host import check_model as command
from host.check_model import check_model
from host.devices.boards import load_board
from host.devices.errors import UnknownBoardError
from host.model_costs import count_macs, kernel_sets
from host.simulation.vm import ensure_vm
from tests.engine import convolution_cases
from tests.engine.conftest import ROOT, model_path
from tests.engine.tflite_builder import Builder, dense, random_model


@pytest.mark.parametrize(
    ("name", "macs"), [("hello_world", 288), ("ad01", 264_192), ("kws_ref_model", 2_656_768)]
)
def test_recorded_models(name, macs):
    data = model_path(name).read_bytes()
    report = check_model(data)
    model = Model(data)
    assert report.problems == []
    assert (report.macs, count_macs(data)) == (macs, macs)
    assert [layer.operator for layer in report.layers] == model.ops
    assert (report.file_bytes, report.arena_bytes) == (len(data), model.ram)
    assert report.kept_arena_bytes == Model(data, keep_inputs=True).ram
    assert 0 < report.weights_bytes < len(data)


def one(name, version=2, dtype="int8"):
    b = Builder()
    x, y = b.tensor((1, 4), 0.1, 3, dtype), b.tensor((1, 4), 0.1, 3, dtype)
    b.operator(name, [x], y, version)
    return b.build([x], [y])


def single(case) -> bytes:
    b = Builder()
    inputs, outputs = case(b, random.Random(3))
    return b.build(inputs, outputs)


def test_macs_by_hand():
    b = Builder()
    x = b.tensor((1, 5, 4, 2), 0.1, 0)
    w = b.tensor((3, 3, 2, 2), 0.1, 0, data=bytes(36))
    y = b.tensor((1, 3, 3, 3), 0.1, 0)
    kind = {"padding": 1, "strideH": 1, "strideW": 1}
    b.operator("CONV_2D", [x, w], y, **kind)
    d = b.tensor((1, 2, 3, 3), 0.1, 0, data=bytes(18))
    z = b.tensor((1, 2, 1, 3), 0.1, 0)
    b.operator("DEPTHWISE_CONV_2D", [y, d], z, depthMultiplier=1, **kind)
    t = b.tensor((4, 2, 2, 3), 0.1, 0, data=bytes(48))
    u = b.tensor((1, 3, 2, 4), 0.1, 0)
    shape = b.tensor((4,), dtype="int32", data=bytes(16))
    b.operator("TRANSPOSE_CONV", [shape, t, z], u, **kind)
    f = b.tensor((5, 24), 0.1, 0, data=bytes(120))
    v = b.tensor((1, 5), 0.1, 0)
    b.operator("FULLY_CONNECTED", [u, f], v, 6)
    report = check_model(b.build([x], [v]))
    assert report.problems == []
    assert [layer.macs for layer in report.layers] == [27 * 12, 6 * 6, 2 * 48, 120]


REFUSED = [
    (lambda: one("SELECT", 1), "SELECT version 1 is not supported: use MAXIMUM, MINIMUM or a RELU"),
    (lambda: one("BATCH_MATMUL", 2), "BATCH_MATMUL version 2 .*: use a Dense layer"),
    (lambda: one("GATHER", 1), "GATHER version 1 .*: use STRIDED_SLICE"),
    (lambda: one("MATRIX_DIAG", 1), "MATRIX_DIAG version 1 .*: use one of .*ADD, .*CONV_2D"),
    (lambda: one("STABLEHLO_ADD", 1), "convert to TFLite builtins"),
    (
        lambda: one("SOFTMAX", 3),
        "SOFTMAX version 3 .*, versions 1 to 2 are: .*types.* convert with full",
    ),
    (
        lambda: one("FULLY_CONNECTED", 1),
        "versions 4 to .* are: .*convert with full int8 quantisation",
    ),
    (
        lambda: one("RELU", 1, "float32"),
        r"1 of 1 operators compute in float32 \(RELU\): convert with full",
    ),
    (bytes, "not a whole .tflite file"),
    (lambda: b"PK\x03\x04" + bytes(5000), "not a whole .tflite file: it is a zip archive"),
    (lambda: random_model(1)[0][:-40], "not a whole .tflite file"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED, ids=[words[:30] for _, words in REFUSED])
def test_refused_with_what_to_do(make, words):
    data = make()
    report = check_model(data)
    assert len(report.problems) == 1
    assert re.search(words, report.problems[0])
    assert not report.ok
    with pytest.raises(ModelError):
        Model(data)


def test_every_unsupported_operator_is_named_once():
    b = Builder()
    x = b.tensor((1, 4), 0.1, 3)
    first = x
    for name in ("SELECT", "EXP", "RELU", "EXP"):
        x = b.operator(name, [x], b.tensor((1, 4), 0.1, 3), 1)
    problems = check_model(b.build([first], [x])).problems
    assert [problem.split(" ")[0] for problem in problems] == ["SELECT", "EXP"]


def test_board_budget():
    data = model_path("kws_ref_model").read_bytes()
    report = check_model(data, "esp32")
    board = load_board("esp32")
    assert report.budget == {"model_bytes": board.model_bytes, "arena_bytes": board.arena_bytes}
    assert any("model of 53,936 bytes does not fit esp32" in p for p in report.problems)
    assert check_model(model_path("hello_world").read_bytes(), board).problems == []
    with pytest.raises(UnknownBoardError):
        check_model(data, "esp33")


def test_shipped_models_fit_every_board_they_name():
    for role in ("cooling", "anomaly"):
        folder = ROOT / "training/bundles" / role
        manifest = json.loads((folder / "manifest.json").read_text())
        for board in manifest["boards"]:
            report = check_model((folder / "model.tflite").read_bytes(), board)
            assert report.problems == []
            assert (report.macs, report.kept_arena_bytes) == (
                manifest["macs"],
                manifest["arena_bytes"],
            )


def test_costs_name_their_source_and_every_operator_has_one():
    sets = kernel_sets()
    assert list(sets) == ["portable", "viper", "esp32", "esp32s2", "rv32"]
    for kernels in sets.values():
        assert kernels.source.startswith("counted")
        assert kernels.clock_mhz > 0
    report = check_model(model_path("ad01").read_bytes())
    costs = [report.instructions(name) for name in ("portable", "viper", "rv32", "esp32")]
    assert sorted(costs, reverse=True) == costs
    assert min(costs) > report.macs > 0


@pytest.mark.parametrize(
    ("board", "kernels"),
    [
        ("esp32", "esp32"),
        ("esp32-s3", "esp32"),
        ("esp32-s2", "esp32s2"),
        ("esp32-c3", "rv32"),
        ("simulated", "portable"),
    ],
)
def test_a_board_is_told_the_cost_on_its_own_kernels(board, kernels):
    report = check_model(model_path("hello_world").read_bytes(), board)
    assert report.kernels == kernels
    heads = command.lines_of(report, "m")[0].split()
    assert heads[heads.index("act.") + 1 :] == [kernels]
    assert len([line for line in command.lines_of(report, "m") if " ms at " in line]) == 1


# Of emulated chips, as ./run bench --record wrote them: {model: {"chip set": counts}}.
COUNTED = json.loads((ROOT / "tests/engine/counted_models.json").read_text())


@pytest.mark.parametrize("name", COUNTED)
def test_estimates_are_near_what_whole_models_took_on_chips(name):
    report = check_model(model_path(name).read_bytes())
    running = [layer for layer in report.layers if layer.instructions["portable"]]
    assert len(COUNTED[name]) > 2
    for where, counted in COUNTED[name].items():
        kernels = where.split(" ")[1]
        whole = counted["invoke"]
        assert report.instructions(kernels) == pytest.approx(whole, rel=0.15), where
        assert len(counted["layers"]) == len(running)
        for layer, count in zip(running, counted["layers"], strict=True):
            estimated = layer.instructions[kernels] + kernel_sets()[kernels].call
            # What a soft-max takes depends on its input.
            near = pytest.approx(count, rel=0.2, abs=0.01 * whole)
            assert estimated == near, (where, layer.index, layer.operator)


# What the kernels take today, so that the figures follow when the kernels change.
@pytest.mark.vm
@pytest.mark.parametrize("kernels", native.SETS)
def test_estimates_are_near_what_native_kernels_take(run_on_vm, kernels, tmp_path):
    path = tmp_path / "model"
    for name in ("FULLY_CONNECTED 64 -> 64", "CONV_2D 3x3, 8 -> 8", "DEPTHWISE_CONV_2D 3x3, 8"):
        path.write_bytes(cases.made(name).model)
        (counted,) = native.counted(ensure_vm(), path, kernels).values()
        (layer,) = check_model(path.read_bytes()).layers
        assert layer.instructions[kernels] == pytest.approx(counted.instructions, rel=0.15), name


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["hello_world"], 0, "hello_world_int8.tflite: runs\n"),
        (["hello_world", "--board", "esp32"], 0, "runs, fits esp32"),
        (["kws_ref_model", "--board", "esp32"], 1, "does not fit esp32"),
        (["kws_ref_model", "--board", "esp32"], 1, "it fits esp32-wrover"),
        (["ad01", "--board", "esp32"], 1, "it fits no board there is"),
        (["hello_world", "--board", "esp23"], 3, "did you mean 'esp32'"),
        (["hello_world", "--board", ""], 3, "there is no board ''"),
    ],
)
def test_command(arguments, code, words, capsys):
    name, *options = arguments
    assert command.main([str(model_path(name)), *options]) == code
    assert words in "".join(capsys.readouterr())


def test_json(capsys):
    assert command.main([str(model_path("hello_world")), "--json", "--board", "esp32"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["event"], report["ok"]) == ("done", True)
    assert (report["board"], report["macs"]) == ("esp32", 288)
    assert [layer["operator"] for layer in report["layers"]] == ["FULLY_CONNECTED"] * 3
    assert report["estimates"]["portable"]["source"].startswith("counted")


CASES = (
    convolution_cases.convolution,
    convolution_cases.depthwise,
    convolution_cases.transposed,
    convolution_cases.pooling("AVERAGE_POOL_2D"),
)


@cache
def original(seed: int) -> bytes:
    if seed < len(CASES):
        return single(CASES[seed % len(CASES)])
    return random_model(seed)[0]


@settings(max_examples=400, deadline=None)
@given(
    st.integers(0, 7),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=6),
    st.integers(0, 1 << 16),
)
def test_never_raises(seed, edits, size):
    data = bytearray(original(seed))
    for position, value in edits:
        data[position % len(data)] = value
    for some in (bytes(data), bytes(data[: size % len(data)])):
        report = check_model(some)
        assert report.ok == (report.arena_bytes is not None)
        assert command.lines_of(report, "m")


def test_dense_only_models_count_like_their_weights():
    b = Builder()
    x = b.tensor((3, 10), 0.1, 3)
    data = b.build([x], [dense(b, x, 7, random.Random(1))])
    assert count_macs(data) == 3 * 10 * 7
