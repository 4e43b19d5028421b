"""Starts a board's VM so that nothing of it outlives the simulation. The child's half is
launch.py.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from host.simulation.errors import BoardError
from host.simulation.filesystem import silicon
from host.simulation.vm import Vm

LAUNCH = Path(__file__).with_name("launch.py")
# What closes its bus and lives on is wrong; what takes its time to end may be on a busy machine.
END_S = 20.0
RUN = "__import__('_silicon').run({!r}, {!r})"


class VmProcess:
    """One run of the VM, from reset to reset. `bus` is the host's end of its bus."""

    def __init__(self, vm: Vm, flash: Path, heap_kb: int, terminal: int) -> None:
        host, board = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        host.setblocking(False)
        # "w" scales the heap with the word size: what fits a 32-bit chip fits a 64-bit VM about as
        # well.
        command = [*vm.argv, "-X", f"heapsize={heap_kb}wK"]
        environment = {"PATH": os.defpath, "TERM": "dumb"}
        if vm.raw_repl:
            command += ["-c", RUN.format(str(flash), None)]
        else:
            stand_ins = str(silicon())
            command += ["-i", "-c", RUN.format(str(flash), stand_ins)]
            environment["MICROPYPATH"] = stand_ins
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(LAUNCH),
                    str(board.fileno()),
                    str(os.getpid()),
                    *command,
                ],
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                pass_fds=(board.fileno(),),
                start_new_session=True,
                cwd=flash,
                env=environment,
            )
        except OSError as error:
            host.close()
            raise BoardError(f"the VM cannot be started: {error}") from error
        finally:
            board.close()
        self.bus = host
        self.pid = self._process.pid

    def kill(self) -> None:
        """Cut the power; returns when the process is gone."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self.bus.close()

    def exit_code(self) -> int:
        """How it ended, once its bus is closed; a process that hangs there is killed."""
        try:
            code = self._process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self.bus.close()
        return code

    def cpu_s(self) -> float:
        """Processor seconds it has used; real time where the system cannot tell."""
        try:
            # The kernel's clock id of another process: see clock_getcpuclockid(3).
            return time.clock_gettime(~self.pid << 3 | 2)
        except (OSError, OverflowError):
            return time.monotonic()

    def waiting(self) -> bool:
        """Whether the process sleeps in the kernel, that is, waits for something."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "S"
