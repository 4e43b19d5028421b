"""SIGHUP: new settings without losing a frame, wrong ones refused whole, what stays untouched."""

import os
import signal
import time
from pathlib import Path

from tests.bridge.conftest import Bridge, eventually, free_port
from tests.bridge.fake_board import FakeBoard


def write(file: Path, ports: list[Path], web: int, more: str = "") -> None:
    listed = ", ".join(f'"{port}"' for port in ports)
    file.write_text(f"ports = [{listed}]\n{more}\n[web]\nlisten = '127.0.0.1:{web}'\n")


def test_ports_and_gateways_change_while_frames_flow(
    bridge: Bridge, board: FakeBoard, tmp_path: Path
) -> None:
    file = tmp_path / "bridge.toml"
    write(file, [board.path], bridge.port)
    command = ["--config", str(file), "--store", str(bridge.store)]
    bridge.start(*command, http=False, wait=False)
    eventually(bridge.ready)
    eventually(lambda: bridge.status("box-one") == "online")
    assert bridge.process
    with FakeBoard(tmp_path / "second", "box-two", boot=3) as second:
        for n in range(30):
            board.decide(why=f"decision {n}")
            if n == 5:
                write(file, [board.path, second.path], bridge.port)
                os.kill(bridge.process.pid, signal.SIGHUP)
            time.sleep(0.01)
        eventually(lambda: bridge.status("box-two") == "online")
        second.decide()
        eventually(lambda: not board.queue and not second.queue)
        connects = {b["device"]: b["link"]["stats"]["connects"] for b in boards(bridge)}
        assert connects["box-one"] == 1, "a port that stays is not opened again"
        assert bridge.keys("box-one") == [(7, n) for n in range(1, 31)]

        write(file, [board.path], bridge.port, "baud = 1")
        os.kill(bridge.process.pid, signal.SIGHUP)
        eventually(lambda: "settings not reloaded" in bridge.log.read_text())
        assert bridge.status("box-two") == "online", "wrong settings change nothing"

        moved = free_port()
        write(file, [board.path], moved)
        os.kill(bridge.process.pid, signal.SIGHUP)
        bridge.url = f"http://127.0.0.1:{moved}"
        eventually(lambda: bridge.log.read_text().count("settings reloaded") == 2)
        eventually(bridge.ready)
        assert bridge.status("box-two") == "disconnected"
        board.decide()
        eventually(lambda: not board.queue)


def boards(bridge: Bridge) -> list[dict[str, object]]:
    return bridge.get("/api/boards")["boards"]


def test_a_sleeping_board_is_not_lost(bridge: Bridge, board: FakeBoard) -> None:
    bridge.start("--port", str(board.path))
    eventually(lambda: bridge.status("box-one") == "online")
    board.bye(600)
    eventually(lambda: bridge.status("box-one") == "sleeping")
    board.tel()
    eventually(lambda: bridge.status("box-one") == "online", what="it woke")
