"""What a deploy does at the board: which chip, what is on its flash, the plan's operations there.

require_chip(repl, board)
state = read_state(repl)
perform(repl, plan.ops, done)
"""

from __future__ import annotations

import ast
import base64
import errno
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from agent.cognition.engine.kernels.choice import chip_of
from host.devices.board_repl import BoardOsError
from host.devices.boards import Board, list_boards, load_board
from host.devices.deploy_plan import (
    ACTIVE,
    BESIDE_SETS,
    PLAIN_FILES,
    PLAIN_FOLDERS,
    SLOTS,
    BoardState,
    Op,
)
from host.devices.errors import FlashFullError, VerifyError, WrongChipError

CHUNK_BYTES = 1024
FILE_TRIES = 3
# A piece of a file takes a few milliseconds, or, where flash has to be erased, some hundred.
WRITE_S = 4.0
# What a board's answer, and its time to give it, have room for.
FOLDERS_PER_CALL = 3
OPS_PER_CALL = 8


class Caller(Protocol):
    """A BoardRepl."""

    def call(self, expression: str, timeout_s: float = ...) -> str: ...


def require_chip(repl: Caller, board: Board) -> None:
    """Raises WrongChipError where MicroPython names another chip than that of `board`."""
    machine = repl.call("_machine()")
    chip = chip_of(machine).lower()
    if chip in ("", board.chip):
        return
    others = [name for name in list_boards() if load_board(name).chip == chip]
    raise WrongChipError(
        f"this board says {machine!r}, but {board.name} has an {board.chip}; it could be: "
        f"{', '.join(others)}; what runs on it is left alone"
    )


def read_state(board: Caller) -> BoardState:
    """Everything a plan needs, hashes made from the files themselves. Raises NoAnswerError."""
    block_size, free_blocks = map(int, board.call("_room()").split())
    state = BoardState(block_size=block_size, free_bytes=block_size * free_blocks)
    state.active = _text(board, ACTIVE)
    state.active_new = _text(board, f"{ACTIVE}.new")
    for name in (*BESIDE_SETS, *PLAIN_FILES):
        entry = board.call(f"_entry('/{name}')")
        if entry != "-":
            _add(state, f"/{name}", entry)
    top = board.call("_folders('/')").split("|")
    folders = [f"/{name}" for name in (*SLOTS, *PLAIN_FOLDERS) if name in top]
    while folders:
        some, folders = folders[:FOLDERS_PER_CALL], folders[FOLDERS_PER_CALL:]
        listed = board.call(f"_lists({', '.join(map(repr, some))})").split(":")
        for folder, lines in zip(some, listed, strict=True):
            state.folders.add(folder)
            for line in filter(None, lines.split("|")):
                name, _, entry = line.partition(" ")
                if entry:
                    _add(state, f"{folder}/{name}", entry)
                else:
                    folders.append(f"{folder}/{name[:-1]}")
    return state


def _text(board: Caller, path: str) -> str | None:
    text = board.call(f"_text({path!r})")
    return None if text == "-" else str(ast.literal_eval(text))


def _add(state: BoardState, path: str, entry: str) -> None:
    size, sha = entry.split()
    state.files[path] = (int(size), sha)


def perform(board: Caller, ops: Sequence[Op], done: Callable[[int], None]) -> None:
    """Does the operations in their order, each checked before the next. done(bytes sent so far).
    Raises VerifyError, FlashFullError, NoAnswerError.
    """
    sent = 0
    for together in _batches(ops):
        try:
            if together[0].kind == "write":
                sent += _write(board, together[0], lambda n, before=sent: done(before + n))  # type: ignore[misc]
            else:
                _change(board, together)
        except BoardOsError as error:
            if error.code == errno.ENOSPC:
                raise FlashFullError(
                    f"the flash is full at {together[0].path}; what ran before still does: remove "
                    "other files from the board (mpremote ls, mpremote rm) and deploy again"
                ) from error
            raise


def _batches(ops: Sequence[Op]) -> Iterator[list[Op]]:
    # In order; each call takes its time on the line, so small things go together.
    batch: list[Op] = []
    for op in ops:
        alone = op.kind in ("write", "rename")
        if batch and (alone or len(batch) == OPS_PER_CALL):
            yield batch
            batch = []
        if alone:
            yield [op]
        else:
            batch.append(op)
    if batch:
        yield batch


def _change(board: Caller, ops: Sequence[Op]) -> None:
    calls = ", ".join(f"(_{op.kind}, {op.source!r}, {op.path!r})" for op in ops)
    for op, found in zip(ops, board.call(f"_many({calls})").split(" "), strict=True):
        if op.sha256:
            _verify(op, found)


def _write(board: Caller, op: Op, done: Callable[[int], None]) -> int:
    found = ""
    for _ in range(FILE_TRIES):
        try:
            _send(board, op, done)
        except BoardOsError as error:
            if error.code != errno.EBADF:
                raise
        found = board.call(f"_close({op.path!r})")
        if found == op.sha256:
            return len(op.content)
    _verify(op, found)
    raise AssertionError("unreachable")


def _send(board: Caller, op: Op, done: Callable[[int], None]) -> None:
    board.call(f"_open({op.path!r})")
    for start in range(0, len(op.content), CHUNK_BYTES):
        chunk = base64.b64encode(op.content[start : start + CHUNK_BYTES]).decode()
        board.call(f"_write({start}, {chunk!r})", WRITE_S)
        done(min(start + CHUNK_BYTES, len(op.content)))


def _verify(op: Op, found: str) -> None:
    if found != op.sha256:
        raise VerifyError(
            f"{op.path} on the board has SHA-256 {found[:12]}..., not {op.sha256[:12]}...; what "
            "ran before still does: deploy again; if it stays so, the flash is worn (flash --erase)"
        )
