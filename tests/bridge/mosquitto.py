"""A real mosquitto for a test."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.bridge.ports import free_port
from tests.bridge.waiting import PATIENCE_S, eventually

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/opt/homebrew/sbin")
needs_mosquitto = pytest.mark.skipif(not MOSQUITTO, reason="mosquitto is not installed")


class Mosquitto:
    """Without persistence: a restart has lost every retained message."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        # Handed on at once, whatever the subscriber has not confirmed yet.
        limits = "max_inflight_messages 0\nmax_queued_messages 0\n"
        listener = f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
        self._config.write_text(listener + limits)
        self.start()

    def start(self) -> None:
        """Returns when it takes connections."""
        assert MOSQUITTO
        command = [MOSQUITTO, "-c", str(self._config)]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        eventually(self._listens, what="mosquitto listens")

    def _listens(self) -> bool:
        assert self._process.poll() is None, f"mosquitto ended: {self._process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", self.port), PATIENCE_S).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)
