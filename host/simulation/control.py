"""Switching faults while a simulation runs: one line in, one line out, over a socket.

The socket is a file only its owner may open. `python -m host.simulation.control 'on fan_stuck
esp32-2'` (the verb `./run fault`) is the other end.
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from host.simulation.errors import SimulationError

MAX_LINE = 200
TIMEOUT_S = 20.0
HELP = (
    "on KIND [BOARD] | off KIND [BOARD] | reset BOARD | unplug BOARD | plug BOARD | "
    "wifi on|off BOARD | list"
)


class ControlError(SimulationError):
    """No simulation listens, or it refused; the message says what to do."""


@contextlib.asynccontextmanager
async def serve_control(path: Path, act: Callable[[list[str]], str]) -> AsyncIterator[None]:
    """Answer control lines on the socket `path`; `act` gets the words and returns the answer.

    What `act` raises as ValueError or SimulationError is answered as `error: ...`.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), TIMEOUT_S)
            answer = act(line.decode(errors="replace").split())
        except (ValueError, SimulationError) as error:
            answer = f"error: {error}"
        except (TimeoutError, OSError):
            answer = ""
        with contextlib.suppress(OSError):
            writer.write(answer.encode() + b"\n")
            await writer.drain()
            writer.close()

    path.unlink(missing_ok=True)
    old_mask = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(handle, str(path), limit=MAX_LINE)
    finally:
        os.umask(old_mask)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


def send_control(path: Path, line: str, timeout_s: float = TIMEOUT_S) -> str:
    """Send one control line and return the answer. Raises ControlError."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout_s)
        try:
            client.connect(str(path))
            client.sendall(line.encode()[: MAX_LINE - 1] + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                chunk = client.recv(4096)
                if not chunk:
                    break
                answer += chunk
        except OSError as error:
            raise ControlError(
                f"no simulation listens at {path} ({error}); start one with ./run demo"
            ) from error
    text = answer.decode(errors="replace").strip()
    if text.startswith("error: "):
        raise ControlError(text.removeprefix("error: "))
    return text


def main(argv: list[str]) -> int:
    from host.simulation.demo import CONTROL_SOCKET

    if not argv:
        print(f"usage: fault {HELP}", file=sys.stderr)
        return 2
    try:
        print(send_control(CONTROL_SOCKET, " ".join(argv)))
    except ControlError as error:
        print(f"fault: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
