"""Stock MicroPython on an emulated chip, through a program of yours.

FANWISE_ESP32_EMULATOR is a command. It is given, on its standard input, one JSON object

    {"chip": "esp32", "files": {path: base64}, "data": {name: base64}, "setup": code,
     "count": [statement, ...]}

and has to boot a stock image of that chip, put `files` where `import` finds them, give the code a
global dict `data` of buffers, run the code, and print one JSON object

    {"output": what the code printed, "counts": [instructions per statement, ...]}

`data` holds models of up to 300 KB: more than the heap takes, so the buffers have to lie in flash
that is mapped into the address space, as in a RomFS. To write files and data into the flash image
before the chip boots, and to map them, also saves hours: an emulator that translates its code anew
after each read of flash takes minutes to import the engine through a file system.

No emulator comes with Fanwise. Counts are instructions, not cycles.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from host.devices.build import ENGINE, board_files

VARIABLE = "FANWISE_ESP32_EMULATOR"
TIMEOUT_S = 600.0


class EmulatorError(RuntimeError):
    """The emulator failed, or the code on it did; the last line of the message says how."""


class EmulatorHungError(EmulatorError):
    """No answer in time. The command and all it started have been ended."""


class EmulatorMissingError(EmulatorError):
    """The command cannot be run at all."""


@dataclass(frozen=True)
class Answer:
    output: str
    counts: list[float]


def available() -> bool:
    return bool(os.environ.get(VARIABLE, "").strip())


@cache
def engine_files(chip: str, code: str = "") -> Mapping[str, bytes]:
    """The engine as built for a chip; the names in `code`, which will use it, are kept."""
    packages = {"agent/__init__.py": b"", "agent/cognition/__init__.py": b""}
    built = board_files(chip, every_set=True, kept=frozenset(re.findall(r"\w+", code)))
    return packages | {n: data for n, data in built.items() if n.startswith(ENGINE + "/")}


def run(
    chip: str,
    files: Mapping[str, bytes],
    setup: str,
    count: Sequence[str],
    data: Mapping[str, bytes] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """What the emulator answers. Raises EmulatorError."""
    request = {
        "chip": chip,
        "files": _encoded(files),
        "data": _encoded(data or {}),
        "setup": setup,
        "count": list(count),
    }
    code, said, errors = _call(json.dumps(request), timeout_s)
    if code:
        raise EmulatorError(f"{VARIABLE} failed with {code}: {(errors or said).strip()[-2000:]}")
    return _answer(said, len(count))


def _encoded(contents: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in contents.items()}


def _call(request: str, timeout_s: float) -> tuple[int, str, str]:
    """Exit code, output and errors of the command."""
    try:
        command = shlex.split(os.environ[VARIABLE])
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A group of its own, so that an emulator it started ends with it.
            start_new_session=True,
        )
    except (OSError, ValueError, IndexError) as error:
        raise EmulatorMissingError(
            f"{VARIABLE}={os.environ[VARIABLE]!r} cannot be run ({error}): name a command as"
            " benchmarks/chip.py tells"
        ) from error
    try:
        said, errors = process.communicate(request, timeout_s)
    except subprocess.TimeoutExpired as error:
        raise EmulatorHungError(f"no answer of {VARIABLE} within {timeout_s:g} s") from error
    finally:
        _end(process)
    return process.returncode, said, errors


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()


def _answer(said: str, wanted: int) -> Answer:
    try:
        answer: Any = json.loads(said)
        output, counts = answer["output"], answer["counts"]
        if isinstance(output, str) and len(counts) == wanted:
            return Answer(output, [float(count) for count in counts])
    except (ValueError, TypeError, KeyError):
        pass
    raise EmulatorError(
        f'{VARIABLE} has to print {{"output": text, "counts": [{wanted} numbers]}}, not'
        f" {said.strip()[-200:]!r}"
    )
