"""The verbs. Each is a few lines that call host/, training/ or explain/."""

import os
import subprocess
import sys
import time

from invoke import Context, Exit, task


def _python(module: str, *words: object) -> None:
    """Become `python -m module`: its messages, exit code and Ctrl-C are its own."""
    sys.stdout.flush()
    command = [sys.executable, "-m", "host.start", module, *(str(word) for word in words)]
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


# A file's tests stay together: they share virtual machines and bridges.
_IN_PARALLEL = (f"-n{min(4, os.cpu_count() or 1)}", "--dist=loadfile")


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
        "link": "of the boards: serial (default), or mqtt, over simulated Wi-Fi to the broker",
    },
)
def demo(_, seconds="", train=True, replay="", speed="", fault=None, broker="", http="", link=""):
    """Watch three simulated boards keep three machines cool."""
    words = _options(
        seconds=seconds,
        no_train=not train,
        replay=replay,
        speed=speed,
        fault=fault,
        broker=broker,
        http=http,
        link=link,
    )
    _python("host.simulation.demo", *words)


@task(
    optional=["port"],
    auto_shortflags=False,
    help={
        "port": "look at the board there (without a name: the only one)",
        "board": "the kind of board it should be",
        "agent": "the agent's file it should run",
        "broker": "can this MQTT broker be used? mqtt://HOST",
        "restart": "restart the board, and watch it start",
        "json": "for programs",
    },
)
def doctor(_, port="", board="", agent="", broker="", restart=False, json=False):
    """What is wrong with this machine, a board or a broker."""
    words = _options(port=port, board=board, agent=agent, broker=broker)
    _python("host.doctor", *words, *_options(restart=restart, json=json))


@task(
    positional=["change"],
    help={"change": "e.g. 'on fan_stuck esp32-2', 'off fan_stuck', 'reset esp32-1', 'list'"},
)
def fault(_, change):
    """Switch faults, resets and cables of a running demo."""
    _python("host.simulation.control", *change.split())


@task(
    iterable=["port"],
    help={
        "config": "TOML file, see docs/bridge.md",
        "port": "serial port of a board; may be repeated",
        "store": "SQLite file (default run-state/fanwise.db)",
        "broker": "an MQTT broker, e.g. mqtt://127.0.0.1:1883",
        "embedded_broker": "run a broker inside, on loopback",
        "http": "address of the live page (default 127.0.0.1:8080)",
        "opcua": "address of an OPC UA server, e.g. 127.0.0.1:4840",
    },
)
def bridge(
    _, config="", port=None, store="", broker="", embedded_broker=False, http="", opcua=""
):  # fmt: skip
    """Relay boards to a store, MQTT and a live page."""
    words = _options(
        config=config,
        port=port,
        store=store,
        broker=broker,
        embedded_broker=embedded_broker,
        http=http,
        opcua=opcua,
    )
    _python("host.bridge", *words, "--print-decisions")


@task(
    help={
        "board": "a file in boards/, e.g. esp32",
        "agent": "an agent's file; default: the board's defaults",
        "port": "default: found by the board's USB id",
        "image": "a .bin instead of the official one",
        "version": "of the official one: 1.25.0, or newest",
        "erase": "erase the whole flash first",
        "deploy": "--no-deploy: MicroPython alone, no agent",
        "monitor": "--no-monitor ends without opening the monitor",
        "dry_run": "look and tell, change nothing",
        "json": "for programs; opens no monitor",
        "reset": "--no-reset: the port cannot reset the board",
        "baud": "while writing (default 460800)",
    }
)
def flash(
    _, board="", agent="", port="", image="", version="", erase=False, deploy=True, monitor=True,
    dry_run=False, json=False, reset=True, baud="",
):  # fmt: skip
    """Put MicroPython and the agent on a board, and watch it start."""
    words = _options(board=board, agent=agent, port=port, image=image, version=version)
    words += _options(
        erase=erase,
        baud=baud,
        no_deploy=not deploy,
        no_monitor=not monitor,
        dry_run=dry_run,
        json=json,
    )
    words += _options(no_reset=not reset)
    _python("host.devices.flash", *words)


@task(
    iterable=["bundle"],
    help={
        "port": "default: the only one that looks like the board",
        "board": "a file in boards/: keeps the board's own settings",
        "agent": "an agent's file: board, models, settings",
        "bundle": "folder of a model; may be repeated",
        "defaults": "with --board: replace the board's own settings",
        "dry_run": "say what would be written",
        "json": "for programs",
        "restart": "--no-restart leaves the board at its prompt",
    },
)
def deploy(
    _, port="", board="", agent="", bundle=None, defaults=False, dry_run=False, json=False,
    restart=True,
):  # fmt: skip
    """Put firmware, settings and models on a board; see them run."""
    words = _options(port=port, board=board, agent=agent, bundle=bundle, dry_run=dry_run, json=json)
    words += _options(defaults=defaults, no_restart=not restart)
    _python("host.devices.deploy", *words)


@task(
    optional=["plot", "wait"],
    iterable=["type", "not_", "send"],
    auto_shortflags=False,
    help={
        "port": "serial port (default: the only one with a board)",
        "board": "kind of board, to find its port by",
        "type": "show only these, e.g. dec,alarm,text; may be repeated",
        "not": "show all but these, e.g. tel; may be repeated",
        "plot": "a live chart below, e.g. case_mc,ambient_mc",
        "log": "file for every byte with its time",
        "replay": "show such a file instead of a port",
        "send": "a command, e.g. 'override on 10m'; may be repeated",
        "wait": "end with the answer, at most so many seconds (10)",
        "json": "one JSON object per line",
        "raw": "everything as it comes",
    },
)
def monitor(
    _,
    port="",
    board="",
    type=None,
    not_=None,
    plot="",
    log="",
    replay="",
    send=None,
    wait="",
    json=False,
    raw=False,
):
    """Watch what a board says; send it commands."""
    words = _options(board=board, type=type, plot=plot, log=log, replay=replay, send=send)
    words += _options(wait=wait, json=json, raw=raw, **{"not": not_})
    _python("host.devices.monitor", *([port] if port else []), *words)


@task(
    positional=["file"],
    help={"board": "a file in boards/, e.g. esp32", "json": "for programs"},
)
def check_model(_, file, board="", json=False):
    """Would a board run this .tflite? Cost per layer, arena, advice."""
    _python("host.check_model", file, *_options(board=board, json=json))


@task(help={"show": "draw one board: its pins and budgets", "json": "for programs"})
def boards(_, show="", json=False):
    """The boards there are, what they have, where things go."""
    _python("host.devices.show", *_options(show=show, json=json))


@task(
    iterable=["bundle"],
    help={
        "name": "the device's name, e.g. cellar (default: board and a number)",
        "board": "see invoke boards",
        "sensors": "what differs, e.g. 'ambient=ntc:35 fan=none'",
        "output": "pin, contact and level of the relay: '26 nc high'",
        "limits": "limit and trip point in C: '45 55'",
        "link": "how it talks to the host: serial",
        "bundle": "folder of a model bundle; may be repeated; or none",
        "site": "where it stands (default home)",
        "out": "the file to write (default agents/NAME.toml)",
        "yes": "ask nothing: take the default for what is not named",
        "force": "replace a file that is there",
        "json": "for programs",
    },
)
def new_agent(
    _,
    name="",
    board="",
    sensors="",
    output="",
    limits="",
    link="",
    bundle=None,
    site="",
    out="",
    yes=False,
    force=False,
    json=False,
):
    """Five questions, answered by a checked file for a new board."""
    words = _options(
        name=name,
        board=board,
        sensors=sensors,
        output=output,
        limits=limits,
        link=link,
        bundle=bundle,
        site=site,
        out=out,
        yes=yes,
        force=force,
        json=json,
    )
    _python("host.devices.new_agent", *words)


@task(
    iterable=["chip"],
    help={
        "chip": "e.g. esp32, esp32c3; may be repeated (default: all)",
        "json": "for programs",
    },
)
def build(_, chip=None, json=False):
    """Compile the firmware for chips, native kernels included."""
    _python("host.devices.build", *(chip or []), *_options(json=json))


@task(
    help={
        "bridge": "what the bridge costs, instead (Linux, with mosquitto)",
        "thingsboard": "with --bridge: a venv with thingsboard-gateway",
    },
)
def bench(_, bridge=False, thingsboard=""):
    """The engine beside TFLite-Micro on this machine, as ratios."""
    if bridge:
        _python("benchmarks.bridge", *_options(thingsboard=thingsboard))
    _python("benchmarks.engine")


@task(
    help={
        "out": "folder the bundles are written to",
        "seed": "another split of runs, another start of the weights",
        "role": "cooling, anomaly or both",
    }
)
def train(_, out="run-state/bundles", seed=1, role="both"):
    """Train int8 models, check them bit for bit, write bundles."""
    _python("training.run", *_options(out=out, seed=seed, role=role))


@task(
    help={"records": "the bridge's store, or a file of JSON lines", "out": "folder for the page"},
)
def report(_, records=".cache/demo/store.db", out="run-state/report"):
    """Pictures of decisions, each recomputed from its model."""
    bundles = [f"training/bundles/{role}" for role in ("cooling", "anomaly")]
    _python("explain.report", records, *_options(out=out, bundle=bundles))


@task(help={"only": "paths or pytest options, e.g. --only 'tests/frames -k torn'"})
def test(_: Context, only=""):  # noqa: PT028
    """Lint, types and all tests, on the real parts."""
    _step("tests.provision")
    _step("ruff", "check", "--quiet")
    _step("ruff", "format", "--check", "--quiet")
    _step("mypy")
    # Real brokers, browsers and clocks on a busy machine: a failure counts when it comes twice, and
    # the first is shown all the same (tests/conftest.py). `./run check` is not that patient.
    _step("pytest", "--durations=10", "--reruns=1", *_IN_PARALLEL, *only.split())


@task
def check(_):
    """Lint, types and the quick tests, in under a minute."""
    start = time.monotonic()
    _step("ruff", "check", "--quiet")
    _step("ruff", "format", "--check", "--quiet")
    _step("mypy")
    _step("pytest", "-q", "-m", "not slow and not e2e", "--no-header", *_IN_PARALLEL)
    print(f"-- checked in {time.monotonic() - start:.0f} s")
