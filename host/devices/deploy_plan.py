"""What a deploy does to a board's flash, as a list of operations: pure, so that every cut between
two of them, and inside each, can be tried.

    plan = make_plan(state, wanted)      # state: what the board told; wanted: {path: content}
    for op in plan.ops: ...              # each is harmless until the last one, a rename

The rules:
1. The set that runs, or that a board on trial would go back to, is not touched.
2. A set counts once it has its manifest: removed first, written last.
3. A file is copied from the running set if it is there, and verified by hash either way.
4. /active is replaced by one rename, after everything else.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from host.devices.errors import FlashFullError

ACTIVE = "/active"
MANIFEST = "manifest"
SLOTS = ("a", "b")
PLAIN = "."
NO_SET = "-"
TRIES = 3  # as in firmware/boot.py
# At the root, whichever set runs: they choose it.
ROOT_FILES = ("boot.py", "main.py")
# With those that let it into its network, where it has been given any.
BESIDE_SETS = (*ROOT_FILES, "secrets.json", "ca.der")
# What of the root is the plain set.
PLAIN_FOLDERS = ("agent", "models")
PLAIN_FILES = ("config.json",)
ID_CHARS = 8
# Left free for the spool, the boot counter and littlefs's own copies.
SPARE_BLOCKS = 24


@dataclass(frozen=True)
class Op:
    """One change of the flash. `kind`: remove, mkdir, copy (from `source`), write (`content`),
    rename (from `source`). `sha256`: of the file at `path` afterwards, for all but the first two.
    """

    kind: str
    path: str
    source: str = ""
    content: bytes = b""
    sha256: str = ""


@dataclass(frozen=True)
class Active:
    """/active: which set runs. `state`: "good", "back", or boots on trial; firmware/boot.py."""

    slot: str
    id: str
    state: str
    other: str = NO_SET
    other_id: str = NO_SET

    @property
    def on_trial(self) -> bool:
        return self.state.isdigit()

    def line(self) -> bytes:
        text = f"{self.slot} {self.id} {self.state} {self.other} {self.other_id}"
        return f"{text} {binascii.crc32(text.encode()):08x}\n".encode()

    @classmethod
    def parse(cls, line: str) -> Active | None:
        """None where it is damaged."""
        text, _, crc = line.strip().rpartition(" ")
        fields = text.split(" ")
        try:
            if len(fields) != 5 or int(crc, 16) != binascii.crc32(text.encode()):
                return None
        except ValueError:
            return None
        return cls(*fields)


@dataclass
class BoardState:
    """What is on a board. `active`, `active_new`: what /active and /active.new hold, None where
    they are not there. `files`: (size, SHA-256) by path, of both slots, the plain set and boot.py
    and main.py. `folders`: paths.
    """

    active: str | None = None
    active_new: str | None = None
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    block_size: int = 4096
    free_bytes: int = 1 << 30

    def whole(self, slot: str) -> bool:
        """As firmware/boot.py judges it."""
        if slot == PLAIN:
            return "/agent" in self.folders
        return f"/{slot}/{MANIFEST}" in self.files

    def running(self) -> Active:
        """The set that a boot takes, by the rules of firmware/boot.py."""
        record = Active.parse(self.active or "") or Active.parse(self.active_new or "")
        if record is None:
            order = [PLAIN, *SLOTS] if self.active is None else [*SLOTS, PLAIN]
            slot = next((s for s in order if self.whole(s)), NO_SET)
            return Active(slot, self._id(slot), "good")
        given_up = record.on_trial and int(record.state) >= TRIES
        first = record.other if given_up else record.slot
        if first == record.slot and self.whole(first):
            return record
        swapped = Active(record.other, record.other_id, "back", record.slot, record.id)
        if first == record.other and not self.whole(first):
            return record
        return swapped if self.whole(record.other) else record

    def _id(self, slot: str) -> str:
        _, sha = self.files.get(f"/{slot}/{MANIFEST}", (0, ""))
        return sha[:ID_CHARS] or NO_SET

    def below(self, folder: str) -> list[str]:
        return sorted(path for path in self.files if path.startswith(f"{folder}/"))


@dataclass(frozen=True)
class Plan:
    """`set_id` goes to `slot`; `sent` bytes cross the line; `need` bytes of flash are taken, of
    which `free` are there. No ops: the board has that set already, and runs it.
    """

    ops: tuple[Op, ...]
    slot: str
    set_id: str
    old: Active
    changed: tuple[str, ...]
    copied: tuple[str, ...]
    sent: int
    need: int
    free: int


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def manifest(wanted: Mapping[str, bytes]) -> bytes:
    """One line per file of a set: SHA-256, size, path. Its own SHA-256 begins with the set's id."""
    lines = [f"{sha256(content)} {len(content)} {path}\n" for path, content in wanted.items()]
    return "".join(sorted(lines, key=lambda line: line.split(" ", 2)[2])).encode()


def set_id(wanted: Mapping[str, bytes]) -> str:
    """The id of a set; `wanted` without boot.py and main.py."""
    return sha256(manifest(wanted))[:ID_CHARS]


def make_plan(state: BoardState, wanted: Mapping[str, bytes]) -> Plan:
    """Raises FlashFullError. wanted: {path on the board, relative: content}, with boot.py and
    main.py.
    """
    files = {path: content for path, content in wanted.items() if path not in BESIDE_SETS}
    root = {path: content for path, content in wanted.items() if path in BESIDE_SETS}
    old = state.running()
    kept, ops = old, []
    if old.on_trial and state.whole(old.other) and not _has(state, old.slot, files):
        # What it would go back to becomes active again, and the one on trial gives its place.
        kept = Active(old.other, old.other_id, "good")
        ops += _replace(ACTIVE, kept.line())
    slot = kept.slot
    changed: list[str] = []
    copied: list[str] = []
    if _has(state, kept.slot, files):
        if kept.state == "back":
            # Asked for by name, it is not what the board only went back to any more.
            good = Active(kept.slot, kept.id, "good", kept.other, kept.other_id)
            ops += _replace(ACTIVE, good.line())
    else:
        slot = SLOTS[1] if kept.slot == SLOTS[0] else SLOTS[0]
        into, changed, copied = _fill(state, slot, kept.slot, files)
        ops += into
    for path, content in root.items():
        if state.files.get(f"/{path}", (0, ""))[1] != sha256(content):
            ops += _replace(f"/{path}", content)
            changed.append(path)
    if slot != kept.slot:
        other = (kept.slot, kept.id) if state.whole(kept.slot) else (NO_SET, NO_SET)
        ops += _replace(ACTIVE, Active(slot, set_id(files), "0", *other).line())
    if kept.slot in SLOTS and not kept.on_trial:
        # Nothing will go back to it any more.
        ops = _without_plain(state) + ops
    need, free = _room(state, ops), state.free_bytes
    if need > free:
        raise FlashFullError(
            f"the flash has {free // 1024} KB free, {need // 1024} KB are needed to put the new "
            "files beside the old ones; remove other files from it (mpremote ls, mpremote rm), or "
            "write the board anew (flash --erase); what was on it runs on"
        )
    sent = sum(len(op.content) for op in ops if op.kind == "write")
    return Plan(
        tuple(ops), slot, set_id(files), old, tuple(changed), tuple(copied), sent, need, free
    )


def _has(state: BoardState, slot: str, files: Mapping[str, bytes]) -> bool:
    # The slot holds exactly these files.
    if slot not in SLOTS:
        return False
    there = {path: state.files[path][1] for path in state.below(f"/{slot}")}
    want = {f"/{slot}/{path}": sha256(content) for path, content in files.items()}
    want[f"/{slot}/{MANIFEST}"] = sha256(manifest(files))
    return there == want


def _replace(path: str, content: bytes) -> list[Op]:
    new = f"{path}.new"
    sha = sha256(content)
    return [Op("write", new, "", content, sha), Op("rename", path, new, sha256=sha)]


def _fill(
    state: BoardState, slot: str, running: str, files: Mapping[str, bytes]
) -> tuple[list[Op], list[str], list[str]]:
    """Operations, paths that are sent, paths that are copied. The slot has no manifest until all
    is there.
    """
    if _has(state, slot, files):
        return [], [], []
    base, source = f"/{slot}", "" if running == PLAIN else f"/{running}"
    ops, changed, copied = [], [], []
    if state.whole(slot):
        ops.append(Op("remove", f"{base}/{MANIFEST}"))
    folders = {base} | {f"{base}/{parent}" for path in files for parent in _parents(path)}
    for path in state.below(base):
        if path[len(base) + 1 :] not in files and path != f"{base}/{MANIFEST}":
            ops.append(Op("remove", path))
    gone = {f for f in state.folders if f.startswith(f"{base}/")} - folders
    ops += [Op("remove", folder) for folder in sorted(gone, reverse=True)]
    ops += [Op("mkdir", folder) for folder in sorted(folders - state.folders)]
    for path, content in sorted(files.items()):
        sha = sha256(content)
        if state.files.get(f"{base}/{path}", (0, ""))[1] == sha:
            continue
        if state.files.get(f"{source}/{path}", (0, ""))[1] == sha:
            ops.append(Op("copy", f"{base}/{path}", f"{source}/{path}", content, sha))
            copied.append(path)
        else:
            ops.append(Op("write", f"{base}/{path}", "", content, sha))
            changed.append(path)
    return ops + _replace(f"{base}/{MANIFEST}", manifest(files)), changed, copied


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _without_plain(state: BoardState) -> list[Op]:
    files = [f"/{name}" for name in PLAIN_FILES if f"/{name}" in state.files]
    folders = []
    for name in PLAIN_FOLDERS:
        files += state.below(f"/{name}")
        folders += [f for f in state.folders if f == f"/{name}" or f.startswith(f"/{name}/")]
    return [Op("remove", path) for path in [*files, *sorted(folders, reverse=True)]]


def _room(state: BoardState, ops: list[Op]) -> int:
    """Bytes of flash the operations take, at worst: whole blocks, and two for each folder."""
    block = state.block_size

    def blocks(size: int) -> int:
        return -(-size // block)

    taken = 0
    for op in ops:
        if op.kind in ("copy", "write"):
            taken += blocks(len(op.content)) - state.files.get(op.path, (0, ""))[0] // block
        elif op.kind == "remove" and op.path in state.files:
            taken -= state.files[op.path][0] // block
        elif op.kind == "mkdir":
            taken += 2
    return (taken + SPARE_BLOCKS) * block if taken > 0 else 0
