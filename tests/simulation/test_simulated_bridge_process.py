"""The bridge beside a simulation: its port is its own; one that cannot be started is given up."""

import asyncio
import socket

import pytest

from host.simulation import bridge_process
from host.simulation.bridge_process import BridgeProcess, held_port
from host.simulation.errors import SimulationError


def test_a_held_port_is_nobody_elses_while_its_server_comes_and_goes():
    with held_port("127.0.0.1") as port:
        for _ in range(2):
            with held_port("127.0.0.1", port) as other:
                assert other != port
            with socket.create_server(("127.0.0.1", port)) as server:
                assert server.getsockname()[1] == port


def test_a_bridge_that_cannot_be_started_is_not_started_again(monkeypatch, tmp_path):
    """However long it took to find out."""
    monkeypatch.setattr(bridge_process, "YOUNG_S", 0.0)
    restarts = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bridge = BridgeProcess(
            ports=[tmp_path / "tty"],
            store=tmp_path / "store.db",
            log=tmp_path / "log",
            http=f"127.0.0.1:{taken.getsockname()[1]}",
        )
        with pytest.raises(SimulationError, match="in use"):
            asyncio.run(asyncio.wait_for(bridge.keep_running(restarts.append), 120))
    assert restarts == []
