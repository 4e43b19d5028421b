"""A board's flash as a folder: told as a board tells it; a deploy's operations, whole or cut."""

import hashlib
import os

from host.devices.deploy_plan import BoardState, make_plan

SHARED = ("state", "spool")


def state_of(root, **room):
    state = BoardState(**room)
    if (root / "active").is_file():
        state.active = (root / "active").read_text(errors="replace")
    if (root / "active.new").is_file():
        state.active_new = (root / "active.new").read_text(errors="replace")
    for path in sorted(root.rglob("*")):
        name = "/" + path.relative_to(root).as_posix()
        if name.split("/")[1] in (*SHARED, "active", "active.new"):
            continue
        if path.is_dir():
            state.folders.add(name)
        else:
            content = path.read_bytes()
            state.files[name] = (len(content), hashlib.sha256(content).hexdigest())
    return state


def put(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def do(root, op, length=None):
    """One operation; `length`: of a file that is cut off while it is written."""
    path = root / op.path[1:]
    if op.kind in ("write", "copy"):
        content = op.content if op.kind == "write" else (root / op.source[1:]).read_bytes()
        path.write_bytes(content[:length])
    elif op.kind == "rename":
        os.replace(root / op.source[1:], path)
    elif op.kind == "mkdir":
        path.mkdir(exist_ok=True)
    elif path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def cuts(root, ops):
    """Does the operations one by one; yields what was cut, with the folder as the cut leaves it."""
    yield "before everything"
    for number, op in enumerate(ops):
        what = f"{number}: {op.kind} {op.path}"
        if op.kind in ("write", "copy"):
            for length in sorted({0, len(op.content) // 2, len(op.content) - 1}):
                do(root, op, length)
                yield f"{what}, {length} of {len(op.content)} B"
        do(root, op)
        yield f"after {what}"


def deployed(root, files):
    """A board after a deploy of `files` that went well, still on trial."""
    for op in make_plan(state_of(root), files).ops:
        do(root, op)


def set_files(root, slot):
    """{path: content} of the set in a slot, without its manifest."""
    base = root if slot == "." else root / slot
    found = {}
    for path in base.rglob("*"):
        name = path.relative_to(base).as_posix()
        top = name.split("/")[0]
        if path.is_file() and (slot != "." or top in ("agent", "models", "config.json")):
            found[name] = path.read_bytes()
    found.pop("manifest", None)
    return found
