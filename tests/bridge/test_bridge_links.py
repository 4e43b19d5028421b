"""The bridge process against scripted boards on real ptys."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from agent.communication import frames
from host.bridge import link as link_module
from host.bridge import serial_link
from host.bridge.hub import Hub
from host.bridge.link import Intake, State
from host.bridge.registry import Registry
from host.bridge.serial_link import SerialLink
from host.bridge.store import Store
from host.bridge.store_settings import StoreConfig
from host.bridge.writer import Writer
from tests.bridge.conftest import Bridge, eventually
from tests.bridge.fake_board import FakeBoard, decision
from tests.bridge.waiting import PATIENCE_S


def stats(bridge: Bridge, device: str) -> dict[str, int]:
    board = bridge.board(device)
    assert board
    return board["link"]["stats"]


def test_a_board_is_greeted_and_its_records_stored_then_acknowledged(
    bridge: Bridge, board: FakeBoard
) -> None:
    begun = int(time.time())
    bridge.start("--port", str(board.path))
    eventually(lambda: bridge.status("box-one") == "online")
    clock = next(f for f in board.received if f["t"] == "clock")
    assert begun <= clock["at"] <= time.time()
    for _ in range(10):
        board.decide()
    board.durable("alarm", kind="fan", on=1, why="Fan stands still", val=0)
    eventually(lambda: len(board.acked) == 11)
    assert bridge.keys("box-one") == [(7, n) for n in range(1, 12)]
    view = bridge.board("box-one")
    assert view
    assert [alarm["kind"] for alarm in view["alarms"]] == ["fan"]
    board.durable("alarm", kind="fan", on=0, why="Fan runs again", val=900)
    eventually(lambda: (bridge.board("box-one") or {})["alarms"] == [])
    lines = bridge.out.read_text().splitlines()
    assert len(lines) == 10
    assert "box-one" in lines[0]
    assert "fan ON" in lines[0]
    assert "45.4 C" in lines[0]


def test_noise_copies_gaps_and_disorder(bridge: Bridge, board: FakeBoard) -> None:
    bridge.start("--port", str(board.path))
    eventually(lambda: bridge.status("box-one") == "online")
    made = [frames.encode(board.make("dec", **decision())) for _ in range(6)]
    broken = made[5].replace(b"forecast", b"FORECAST")
    log = b"I (312) wifi: connected\r\n"
    torn = made[3][:40]
    stream = [made[0], log, made[2], made[2], torn, made[1], b">>> print(1)", made[4], broken]
    board.raw(b"".join(stream) + b"\n" + made[3] + made[5])
    eventually(lambda: len(bridge.keys("box-one")) == 6)
    assert bridge.keys("box-one") == [(7, n) for n in range(1, 7)]
    eventually(lambda: len(board.acked) == 6)
    counted = stats(bridge, "box-one")
    assert counted["gaps"] == 2
    assert counted["duplicates"] == 1
    assert counted["missing"] == 0
    assert counted["damaged"] == 2
    assert counted["text_bytes"] >= len(log)


def test_frames_before_the_name_is_known_are_not_lost(bridge: Bridge, board: FakeBoard) -> None:
    board.hello_wanted = False
    board.decide()
    bridge.start("--port", str(board.path))
    eventually(lambda: board.commands("rebirth"))
    time.sleep(0.5)
    assert not board.acked
    assert bridge.keys("box-one") == []
    board.hello_wanted = True
    eventually(lambda: board.acked == {(7, 1)})
    assert bridge.keys("box-one") == [(7, 1)]


def test_a_malformed_record_is_set_aside_and_blocks_nothing(
    bridge: Bridge, board: FakeBoard
) -> None:
    bridge.start("--port", str(board.path))
    eventually(lambda: bridge.status("box-one") == "online")
    board.decide(rule="mood")
    board.decide()
    eventually(lambda: len(board.acked) == 2)
    assert bridge.keys("box-one") == [(7, 2)]
    assert stats(bridge, "box-one")["invalid"] >= 1


def test_kill_9_in_the_stream_loses_and_doubles_nothing(bridge: Bridge, board: FakeBoard) -> None:
    arguments = ("--port", str(board.path))
    total = 0
    for records in (150, 150, 40):
        bridge.start(*arguments)
        already = len(board.acked)
        for _ in range(records):
            board.decide()
        total += records
        # Killed with frames on the line, in the queue, and on the way to the disk.
        eventually(lambda already=already: len(board.acked) > already + 15)
        bridge.kill()
    bridge.start(*arguments)
    eventually(lambda: not board.queue)
    assert bridge.keys("box-one") == [(7, n) for n in range(1, total + 1)]
    bridge.stop()


def test_port_waited_for_removed_and_back(bridge: Bridge, tmp_path: Path) -> None:
    path = tmp_path / "late"
    bridge.start("--port", str(path))
    eventually(lambda: bridge.get("/api/boards")["links"][0]["state"] == "waiting")
    with FakeBoard(path, "box-one", boot=1) as board:
        board.decide()
        eventually(lambda: board.acked == {(1, 1)})
        board.close()
        eventually(lambda: bridge.status("box-one") == "disconnected")
        assert board.path.is_symlink() is False
        board.open()
        board.decide()
        eventually(lambda: (1, 2) in board.acked)
        assert bridge.status("box-one") == "online"
    waiting = [line for line in bridge.log.read_text().splitlines() if "waiting" in line]
    assert 1 <= len(waiting) <= 3  # said once per absence, not per attempt


def test_a_restarted_board_on_the_same_line(bridge: Bridge, board: FakeBoard) -> None:
    bridge.start("--port", str(board.path))
    board.decide()
    eventually(lambda: board.acked == {(7, 1)})
    board.boot, board._durable = 8, 0
    board.tel()
    board.decide()
    eventually(lambda: (8, 1) in board.acked)
    eventually(lambda: (bridge.board("box-one") or {})["boot"] == 8)
    assert bridge.keys("box-one") == [(7, 1), (8, 1)]


def test_old_readings_from_the_ring_are_never_shown_as_now(
    bridge: Bridge, board: FakeBoard
) -> None:
    board.born_s -= 3600
    bridge.start("--port", str(board.path))
    eventually(lambda: bridge.status("box-one") == "online")
    for case_mc in (41000, 42000):
        board.tel(case_mc=case_mc)
    head = board.head("tel", 1)
    late = {**head, "ms": head["ms"] - 600_000, "case_mc": 30000, "fan": 0}
    board.raw(frames.encode(late))

    def cases() -> list[int]:
        return [point[1] for point in bridge.get("/api/history/box-one")["points"]]

    eventually(lambda: 30000 in cases())
    assert cases() == [30000, 41000, 42000]
    view = bridge.board("box-one")
    assert view
    assert view["tel"]["case_mc"] == 42000
    assert stats(bridge, "box-one")["volatile_lost"] == 0


def test_alarms_of_two_sensors_are_two_alarms(bridge: Bridge, board: FakeBoard) -> None:
    bridge.start("--port", str(board.path))
    for on, of in ((1, "case"), (1, "fan"), (0, "case")):
        board.durable("alarm", kind="sensor", on=on, of=of, why=f"Sensor {of}", val=5)
    eventually(lambda: len(board.acked) == 3)
    view = bridge.board("box-one")
    assert view
    assert [alarm["of"] for alarm in view["alarms"]] == ["fan"]


def test_two_boards_with_one_id(bridge: Bridge, board: FakeBoard, tmp_path: Path) -> None:
    with FakeBoard(tmp_path / "twin", "box-one", boot=50) as twin:
        bridge.start("--port", str(board.path))
        eventually(lambda: bridge.status("box-one") == "online")
        bridge.stop()
        bridge.start("--port", str(board.path), "--port", str(twin.path))

        def duplicates() -> list[dict[str, Any]]:
            links = bridge.get("/api/boards")["links"]
            return [link for link in links if link["state"] == "duplicate"]

        (refused,) = eventually(duplicates)
        assert "already speaks through another port" in refused["detail"]
        loser = {str(board.path): board, str(twin.path): twin}[refused["port"]]
        winner = twin if loser is board else board
        loser.decide()
        winner.decide()
        eventually(lambda: winner.acked)
        assert not loser.acked
        winner.close()
        eventually(lambda: loser.acked, what="the other one takes over")


def test_commands_reach_the_board_and_time_out(bridge: Bridge, board: FakeBoard) -> None:
    bridge.start("--port", str(board.path))
    eventually(lambda: bridge.status("box-one") == "online")
    status, answer = bridge.command("box-one", "override", fan=1, for_s=600)
    assert (status, answer["ok"]) == (200, True)
    assert board.commands("override")[-1]["args"] == {"fan": 1, "for_s": 600}
    status, answer = bridge.command("box-one", "override", fan=2, for_s=600)
    assert status == 502
    assert "fan must be" in answer["msg"]
    board.answers = False
    begun = time.monotonic()
    status, answer = bridge.command("box-one", "auto")
    assert time.monotonic() - begun > 9
    assert "no answer within 10 s" in answer["msg"]
    audit = bridge.get("/api/commands")["commands"]
    assert [(entry["name"], entry["ok"]) for entry in audit] == [
        ("auto", 0), ("override", 0), ("override", 1),
    ]  # fmt: skip
    assert audit[0]["source"] == "web"


def test_full_disk_leaves_records_with_the_board(bridge: Bridge, board: FakeBoard) -> None:
    """A file-size limit is what a full disk looks like to SQLite."""
    bridge.start("--port", str(board.path))
    eventually(lambda: bridge.status("box-one") == "online")
    assert bridge.process
    import resource

    used = max(file.stat().st_size for file in bridge.folder.glob("store.db*"))
    unlimited = resource.prlimit(bridge.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(bridge.process.pid, resource.RLIMIT_FSIZE, (used, unlimited[1]))
    for _ in range(40):
        board.decide()
    eventually(lambda: not bridge.get("/ready")["ready"], what="the store says it is full")
    assert board.queue
    assert bridge.process.poll() is None
    resource.prlimit(bridge.process.pid, resource.RLIMIT_FSIZE, unlimited)
    eventually(lambda: not board.queue, what="everything is taken after all")
    assert bridge.keys("box-one") == [(7, n) for n in range(1, 41)]
    eventually(lambda: bridge.get("/ready")["ready"])


def test_a_silent_board_is_lost_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(_silent_board(tmp_path, monkeypatch))


async def _silent_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "SILENT_S", 0.4)
    monkeypatch.setattr(serial_link, "TICK_S", 0.05)
    registry = Registry(Hub())
    store = Store(tmp_path / "s.db")
    writer = Writer(store, StoreConfig(), registry.stored)
    states: asyncio.Queue[State] = asyncio.Queue()

    class Watched(SerialLink):
        def enter(self, state: State, detail: str = "") -> None:
            if state is not self.state:
                states.put_nowait(state)
            super().enter(state, detail)

    with FakeBoard(tmp_path / "b", "box-one", answers=False) as board:
        intake = Intake(writer, registry, lambda *_: None)
        link = Watched(str(board.path), 115200, 0.1, intake)
        task = asyncio.create_task(link.run())
        for wanted in (State.CONNECTING, State.ONLINE, State.LOST, State.ONLINE):
            async with asyncio.timeout(PATIENCE_S):
                assert await states.get() is wanted
            if wanted is State.LOST:
                board.tel()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        eventually(lambda: board.commands("ping"))
    store.close()
