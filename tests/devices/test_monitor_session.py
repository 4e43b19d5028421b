"""The monitor's line to a board, on a pty."""

import asyncio
import os
import pty
import time

from agent.communication import frames
from host.devices.monitoring import session
from host.devices.monitoring.stream import Stream


def test_a_frame_is_not_cut_in_two_while_this_machine_stands_still(monkeypatch):
    monkeypatch.setattr(session, "IDLE_S", 0.1)
    frame = frames.encode({"t": "rsp", "id": "1", "ok": True})
    master, slave = pty.openpty()
    stream, found = Stream(), []

    def stand_still():
        os.write(master, frame[20:])
        time.sleep(2 * session.IDLE_S)

    def received(data):
        shown = stream.feed(data)
        if shown:
            found.extend(shown)
        else:
            asyncio.get_running_loop().call_soon(stand_still)

    async def listen():
        line = session.Session(
            os.ttyname(slave), 115200, received, lambda: found.extend(stream.idle()), print
        )
        task = asyncio.create_task(line.run())
        await line.opened.wait()
        os.write(master, frame[:20])
        while not found:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    try:
        asyncio.run(asyncio.wait_for(listen(), 60))
    finally:
        os.close(master)
        os.close(slave)
    assert [item.kind for item in found] == ["rsp"]
