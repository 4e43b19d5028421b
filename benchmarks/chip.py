"""Stock MicroPython on an emulated chip, through a program of yours.

FANWISE_ESP32_EMULATOR is a command. It is given, on its standard input, one JSON object

    {"chip": "esp32", "files": {path: base64}, "setup": code, "count": [statement, ...]}

and has to boot a stock image of that chip, put the files where `import` finds them (importing from
`/ram` or `/` alike), run the code, and print one JSON object

    {"output": what the code printed, "counts": [instructions per statement, ...]}

No emulator comes with Fanwise. Counts are instructions, not cycles.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass

from host.devices.build import ENGINE, board_files

VARIABLE = "FANWISE_ESP32_EMULATOR"


@dataclass(frozen=True)
class Answer:
    output: str
    counts: list[float]


def available() -> bool:
    return bool(os.environ.get(VARIABLE))


def engine_files(chip: str, code: str = "") -> dict[str, bytes]:
    """The engine as built for a chip; the names in `code`, which will use it, are kept."""
    packages = {"agent/__init__.py": b"", "agent/cognition/__init__.py": b""}
    built = board_files(chip, every_set=True, kept=frozenset(re.findall(r"\w+", code)))
    return packages | {n: data for n, data in built.items() if n.startswith(ENGINE + "/")}


def run(chip: str, files: dict[str, bytes], setup: str, count: list[str]) -> Answer:
    """What the emulator answers. Raises RuntimeError with its words where it fails."""
    request = {
        "chip": chip,
        "files": {name: base64.b64encode(data).decode() for name, data in files.items()},
        "setup": setup,
        "count": count,
    }
    done = subprocess.run(
        shlex.split(os.environ[VARIABLE]),
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=900,
    )
    if done.returncode:
        raise RuntimeError(f"{VARIABLE} failed: {done.stderr[-2000:]}")
    answer = json.loads(done.stdout)
    return Answer(answer["output"], answer["counts"])
