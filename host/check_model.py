"""Does a board run this model, and what does it cost?

    ./run check-model FILE [--board NAME] [--json]

FILE is a .tflite file or a bundle (docs/bundle.md). Exit code: 0 the engine runs the model, and it
fits the board; 1 it does not; 2 and 3 as for the other verbs (docs/exit-codes.md).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agent.cognition.engine import FormatError, Model, ModelError, ops, schema
from agent.cognition.engine.graph import Graph, Operator
from host.devices.boards import Board, list_boards, load_board
from host.devices.console import Console, Parser, run_verb
from host.model_costs import calls, instructions, kernel_sets, macs_of, set_of, weights_bytes
from host.model_files import kind_of, read_model
from host.operator_advice import FULL_INT8, advice

# Far above any board's arena; a model that needs more is reported, not refused.
_ARENA_LIMIT = 1 << 26


@dataclass(frozen=True)
class Layer:
    """One operator. instructions: estimated, per kernel set."""

    index: int
    operator: str
    version: int
    shape: tuple[int, ...]
    macs: int
    weights_bytes: int
    activation_bytes: int
    instructions: dict[str, int]


@dataclass
class Report:
    """problems: why the engine refuses the model, or why the board has no room; empty is good.

    arena_bytes: Model.ram; kept_arena_bytes: the same with inputs that outlive invoke(), which is
    how boards load models they explain. None where the model is refused. kernels: the set the
    board's chip gets.
    """

    file_bytes: int
    board: str | None = None
    kernels: str | None = None
    layers: list[Layer] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    arena_bytes: int | None = None
    kept_arena_bytes: int | None = None
    budget: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def weights_bytes(self) -> int:
        return sum(layer.weights_bytes for layer in self.layers)

    def instructions(self, kernels: str) -> int:
        """Of one invoke, the calls of its layers from Python included."""
        kind = kernel_sets()[kernels]
        called = calls([layer.operator for layer in self.layers], kind) * kind.call
        return called + sum(layer.instructions[kernels] for layer in self.layers)

    def milliseconds(self, kernels: str) -> float:
        """At one instruction per cycle: a lower bound."""
        return self.instructions(kernels) / kernel_sets()[kernels].clock_mhz / 1000

    def as_json(self) -> dict[str, Any]:
        estimates = {
            name: {
                "instructions": self.instructions(name),
                "milliseconds_at_least": round(self.milliseconds(name), 3),
                "source": kernels.source,
            }
            for name, kernels in kernel_sets().items()
        }
        whole = {"ok": self.ok, "macs": self.macs, "weights_bytes": self.weights_bytes}
        return {**whole, **asdict(self), "estimates": estimates}


def check_model(data: bytes, board: Board | str | None = None) -> Report:
    """What the engine makes of a .tflite file. Never raises on bad files: see Report.problems.

    board: a board, or the name of one (then raises as load_board does), to check its memory budget.
    """
    if isinstance(board, str):
        board = load_board(board)
    report = Report(len(data))
    if board:
        report.board, report.kernels = board.name, set_of(board.chip)
    try:
        graph = Graph(data, ops.name_of)
    except FormatError as error:
        why = kind_of(data) or f"{error}; copy or convert it again"
        report.problems.append(f"not a whole .tflite file: {why}")
        return report
    except ModelError as error:
        report.problems.append(str(error))
        return report
    report.problems += _unsupported(graph.operators)
    if report.ok:
        report.problems += _floats(graph.operators)
    if report.ok:
        _load(report, data)
    if report.ok:
        report.layers = [_layer(op) for op in graph.operators]
    if board:
        _fit(report, board)
    return report


def _unsupported(operators: Sequence[Operator]) -> list[str]:
    """One line per operator and version without a kernel, in order of appearance."""
    known = {name: (low, high) for name, low, high, _ in ops.kernels().values()}
    lines: dict[str, None] = {}
    for op in operators:
        if op.name not in known:
            text = f"{op.name} version {op.version} is not supported: "
            lines[text + advice(op.name, ", ".join(sorted(known)))] = None
        elif not known[op.name][0] <= op.version <= known[op.name][1]:
            low, high = known[op.name]
            lines[
                f"{op.name} version {op.version} is not supported, versions {low} to {high} are:"
                f" others are for types, dimensions or options not run here; {FULL_INT8}"
            ] = None
    return list(lines)


def _floats(operators: Sequence[Operator]) -> list[str]:
    """A line if operators other than QUANTIZE and DEQUANTIZE compute in float."""
    found = [
        op.name
        for op in operators
        if op.name not in ("QUANTIZE", "DEQUANTIZE")
        and any(t and t.type == schema.FLOAT32 for t in [*op.inputs, *op.outputs])
    ]
    if not found:
        return []
    names = ", ".join(sorted(set(found)))
    return [f"{len(found)} of {len(operators)} operators compute in float32 ({names}): {FULL_INT8}"]


def _load(report: Report, data: bytes) -> None:
    try:
        report.arena_bytes = Model(data, _ARENA_LIMIT).ram
        report.kept_arena_bytes = Model(data, _ARENA_LIMIT, keep_inputs=True).ram
    except ModelError as error:
        report.problems.append(str(error))


def _layer(op: Operator) -> Layer:
    return Layer(
        op.index,
        op.name,
        op.version,
        op.outputs[0].shape,
        macs_of(op),
        weights_bytes(op),
        sum(tensor.bytes for tensor in op.outputs),
        {name: instructions(op, kernels) for name, kernels in kernel_sets().items()},
    )


def _fit(report: Report, board: Board) -> None:
    report.budget = {"model_bytes": board.model_bytes, "arena_bytes": board.arena_bytes}
    problems = _too_large(report, board)
    if not problems:
        return
    others = [name for name in list_boards() if not _too_large(report, load_board(name))]
    advice = f"; it fits {', '.join(others)}" if others else "; it fits no board there is"
    report.problems += [problem + advice for problem in problems]


def _too_large(report: Report, board: Board) -> list[str]:
    needs = (("model", report.file_bytes, board.model_bytes),
             ("arena", report.kept_arena_bytes, board.arena_bytes))  # fmt: skip
    return [
        f"{what} of {needed:,} bytes does not fit {board.name}, which has {room:,} of its RAM for"
        f" it (memory.{what}_bytes in boards/{board.name}.toml): make the model smaller"
        for what, needed, room in needs
        if needed is not None and needed > room
    ]


def lines_of(report: Report, name: str) -> list[str]:
    """The report as text: estimates for the board's kernels, or without a board for every set."""
    lines = []
    if report.layers:
        sets = [report.kernels] if report.kernels else list(kernel_sets())
        head = (
            f"{'':>3} {'operator':28} {'v':>2} {'output':18} {'MAC':>11} {'weights':>8} {'act.':>7}"
        )
        lines.append(head + "".join(f" {kind:>13}" for kind in sets))
        lines += [
            f"{layer.index:>3} {layer.operator[:28]:28} {layer.version:>2} "
            f"{'x'.join(map(str, layer.shape)):18} {layer.macs:>11,} {layer.weights_bytes:>8,} "
            f"{layer.activation_bytes:>7,}"
            + "".join(f" {layer.instructions[kind]:>13,}" for kind in sets)
            for layer in report.layers
        ]
        lines.append("")
        for kind in sets:
            kernels = kernel_sets()[kind]
            lines.append(
                f"{kind:9} {report.instructions(kind):>15,} instructions, at least "
                f"{report.milliseconds(kind):,.1f} ms at {kernels.clock_mhz} MHz; {kernels.source}"
            )
        lines.append("")
        lines.append(
            f"{report.macs:,} MAC, {report.file_bytes:,} bytes of flash, arena "
            f"{report.arena_bytes:,} bytes ({report.kept_arena_bytes:,} with inputs kept)"
        )
    lines += [f"{name}: {problem}" for problem in report.problems]
    if report.ok:
        lines.append(f"{name}: runs" + (f", fits {report.board}" if report.board else ""))
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser("check-model", (__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path, help="a .tflite file, or a bundle")
    parser.add_argument("--board", help="name of a board under boards/")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    given = parser.parse_args(arguments)

    def verb(console: Console) -> int:
        board = None if given.board is None else load_board(given.board)
        model = read_model(given.file)
        report = check_model(model.data, board)
        report.problems += model.problems
        for line in lines_of(report, model.name):
            console.line(line)
        console.done(**report.as_json())
        return 0 if report.ok else 1

    return run_verb(given.json, verb)


if __name__ == "__main__":
    sys.exit(main())
