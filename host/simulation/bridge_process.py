"""The bridge as a process of its own beside a simulation, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from host.simulation.errors import SimulationError

RESTART_S = 2.0
STOP_S = 5.0
CANNOT_START = 2
"""Exit code of a bridge that refuses what it was told; starting it again would not help."""
YOUNG_S = 5.0
"""Nor would it with one that ends with an error before this age."""
KEEPALIVE_S = 10.0
FIRST_PORT = 8080
PR_SET_PDEATHSIG = 1


def parse_http(text: str | None) -> tuple[str, int]:
    """HOST:PORT of the live page; port 0 means any free one. Raises SimulationError."""
    if not text:
        return "127.0.0.1", 0
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65536):
        raise SimulationError(f"--http {text}: expected HOST:PORT, as in 127.0.0.1:8080")
    return host, int(port)


@contextlib.contextmanager
def held_port(host: str, first: int = FIRST_PORT) -> Iterator[int]:
    """A port nobody has: the first of a few well-known ones, else any. Raises SimulationError.

    Nobody else gets it meanwhile; a server that sets SO_REUSEADDR may listen on it, as often as
    it is started.
    """
    for port in (*range(first, first + 20), 0):
        with socket.socket() as holder:
            try:
                holder.bind((host, port))
            except OSError:
                continue
            # Only now: two that were bound with it could have the same port.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            yield holder.getsockname()[1]
            return
    raise SimulationError(f"no port of {host} can be listened on; try --http 127.0.0.1:0")


def die_with(parent: int) -> None:
    """In the child: end when the parent does, even by SIGKILL (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # it has ended already


class BridgeProcess:
    """`python -m host.bridge` on the given ports; its decisions go to our standard output.

    `speed` is how much faster than life the boards run: their idea of a silent host comes that
    much sooner, so the bridge speaks up that much more often.
    """

    def __init__(
        self,
        *,
        ports: Sequence[Path],
        store: Path,
        log: Path,
        http: str,
        broker: str | None = None,
        embedded_port: int = 0,
        config: Path | None = None,
        speed: float = 1.0,
    ) -> None:
        self.http = http
        self.log = log
        self.restarts = 0
        self.process: asyncio.subprocess.Process | None = None
        keepalive_s = KEEPALIVE_S / max(speed, 1.0)
        self._command = [sys.executable, "-m", "host.bridge", "--print-decisions"]
        self._command += [f"--store={store}", f"--http={http}", f"--keepalive-s={keepalive_s:g}"]
        self._command += [f"--port={port}" for port in ports]
        self._command += (
            [f"--broker={broker}"]
            if broker
            else ["--embedded-broker", f"--embedded-port={embedded_port}"]
        )
        self._command += [f"--config={config}"] if config else []

    async def start(self) -> None:
        """Start the process; its log goes to `log`."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stderr=log,
                # A Ctrl-C at the terminal is for the demo, which then stops the bridge in order.
                start_new_session=True,
                preexec_fn=partial(die_with, os.getpid()) if os.name == "posix" else None,
            )

    async def keep_running(self, say: Callable[[str], None]) -> None:
        """Start, wait, start again. Raises SimulationError when it cannot even start."""
        while True:
            started = time.monotonic()
            await self.start()
            assert self.process is not None
            code = await self.process.wait()
            young = time.monotonic() - started < YOUNG_S
            if code == CANNOT_START or (code > 0 and young):
                lines = self.log.read_text(errors="replace").strip().splitlines()[-3:]
                raise SimulationError("\n  ".join([f"the bridge ended with code {code}:", *lines]))
            self.restarts += 1
            how = signal.Signals(-code).name if code < 0 else f"code {code}"
            say(f"ended ({how}); the boards go on cooling. Again in {RESTART_S:g} s")
            await asyncio.sleep(RESTART_S)

    async def stop(self) -> None:
        """End the process in order, by force when it does not hear."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
