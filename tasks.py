"""The verbs. Each is a few lines that call host/, training/ or explain/."""

import os
import subprocess
import sys
import time

from invoke import Context, Exit, task


def _python(module: str, *words: object) -> None:
    """Become `python -m module`: its messages, exit code and Ctrl-C are its own."""
    sys.stdout.flush()
    command = [sys.executable, "-m", module, *(str(word) for word in words)]
    if os.name != "nt":
        os.execv(sys.executable, command)
    raise Exit(code=subprocess.run(command).returncode)


def _step(module: str, *words: str) -> None:
    """Run one step of several; stop at the first that fails."""
    print(f"-- {module} {' '.join(words)}", flush=True)
    code = subprocess.run([sys.executable, "-m", module, *words]).returncode
    if code:
        raise Exit(code=code)


def _options(**values: object) -> list[str]:
    """Command-line words for the options that were given; a list repeats its option."""
    words: list[str] = []
    for name, value in values.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif isinstance(value, list):
            words += [f"{option}={each}" for each in value]
        elif value not in (None, False, ""):
            words.append(f"{option}={value}")
    return words


@task(
    iterable=["fault"],
    help={
        "seconds": "end by itself after so many seconds (default: run until Ctrl-C)",
        "train": "--no-train uses the bundles kept in the repository: no TensorFlow needed",
        "replay": "feed a recorded run (heater or SKAB file) to the sensors of the first board",
        "speed": "run plant and boards so many times faster than life",
        "fault": "NAME@SECONDS[:BOARD], e.g. fan_stuck@60:esp32-2; may be repeated",
        "broker": "an MQTT broker, e.g. mqtt://127.0.0.1:1883 (default: an embedded one)",
        "http": "address of the live page (default: a free port on 127.0.0.1)",
    },
)
def demo(_, seconds="", train=True, replay="", speed="", fault=(), broker="", http=""):
    """Three simulated boards keep three machines cool, and say why."""
    words = _options(
        seconds=seconds,
        no_train=not train,
        replay=replay,
        speed=speed,
        fault=list(fault),
        broker=broker,
        http=http,
    )
    _python("host.simulation.demo", *words)


@task(help={"only": "paths or pytest options, e.g. --only 'tests/frames -k torn'"})
def test(_: Context, only=""):
    """Everything that proves it: lint, types, and all tests on the real parts."""
    _step("tests.provision")
    _step("ruff", "check", "--quiet")
    _step("ruff", "format", "--check", "--quiet")
    _step("mypy")
    _step("pytest", "--durations=10", *only.split())


@task
def check(_):
    """What to run while working: lint, types and the quick tests, in under a minute."""
    start = time.monotonic()
    _step("ruff", "check", "--quiet")
    _step("ruff", "format", "--check", "--quiet")
    _step("mypy")
    _step("pytest", "-q", "-m", "not slow and not e2e", "--no-header")
    print(f"-- checked in {time.monotonic() - start:.0f} s")
