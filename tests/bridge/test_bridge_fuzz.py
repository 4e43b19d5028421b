"""Nothing from outside brings an exception, a server error, a long wait or ever more memory.

A million inputs: python -m tests.bridge.fuzz
"""

import asyncio
import json
import tracemalloc
from pathlib import Path

from agent.communication import frames
from tests.bridge.fuzz import Target, run
from tests.bridge.fuzz_inputs import FRAMES, HEAD

COUNT = 3000
SLOW_S = 1.0
GROWTH_BYTES = 8_000_000


def test_hostile_inputs(tmp_path: Path) -> None:
    target = Target(tmp_path)
    sizes: list[int] = []

    def each(number: int) -> None:
        if number in (COUNT // 3, COUNT - 1):
            sizes.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        longest = asyncio.run(run(target, COUNT, 1, each))
    finally:
        tracemalloc.stop()
    assert longest < SLOW_S
    assert sizes[1] - sizes[0] < GROWTH_BYTES
    assert target.core.writer.stored > COUNT // 20, "most inputs never came far"
    assert target.told.count > COUNT // 20
    assert target.statuses[200] > 10


def test_a_malformed_record_that_is_no_text_holds_up_nothing(tmp_path: Path) -> None:
    """Lone surrogates and infinity pass JSON's parser, and not the store's columns."""
    target = Target(tmp_path)
    wrong = {**FRAMES[2], "why": "\ud800", "limit_mc": "high", "seq": 2}
    huge = frames.pack(b'{"t":"dec","boot":1,"seq":3,"ms":1e999}')

    async def say() -> None:
        writer = asyncio.create_task(target.core.writer.run())
        target.say("box-one", frames.encode(FRAMES[0]))
        target.say("box-one", frames.pack(json.dumps(wrong, separators=(",", ":")).encode()))
        target.say("box-one", huge)
        target.say("box-one", frames.encode({**FRAMES[2], **HEAD, "seq": 4}))
        while target.core.writer._waiting or not target.core.writer.stored:
            await asyncio.sleep(0.01)
        writer.cancel()

    asyncio.run(asyncio.wait_for(say(), 60))
    stored = target.core.store.records()
    rejected = target.core.store.read("SELECT seq FROM rejected ORDER BY seq", ())
    assert [record.seq for record in stored] == [4]
    assert rejected == [(2,), (3,)]
