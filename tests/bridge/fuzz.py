"""Hostile inputs for everything that takes any: links, MQTT payloads and topics, the API.

    python -m tests.bridge.fuzz --count 1000000 --seed 1

Inputs are mutations of valid ones, into the parts as the bridge runs them: links, registry, store
and its writer, gateways and their routes. No sockets, so that a million take minutes. `seed` and
the number of an input make it again.
"""

import argparse
import asyncio
import json
import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from agent.communication import frames
from host.bridge import config
from host.bridge.core import Core
from host.bridge.service import Service
from host.gateways import payloads
from host.gateways.home_assistant import discovery
from host.gateways.mqtt import MqttGateway
from host.gateways.mqtt_boards import MqttBoards, MqttBoardsConfig
from host.gateways.mqtt_settings import Broker, MqttConfig
from host.gateways.topics import Topics
from host.gateways.web import views
from host.gateways.web.app import make_app
from host.gateways.web.settings import WebConfig
from tests.bridge.fuzz_inputs import (
    COMMANDS,
    DEVICES,
    FRAMES,
    HEAD,
    PATHS,
    changed,
    damaged,
    line,
)

LOOK_EVERY = 200


class Told:
    """Where the MQTT gateway publishes to."""

    def __init__(self) -> None:
        self.count = 0

    async def hand_over(self, topic: str, payload: bytes, *_: Any, **__: Any) -> None:
        assert "#" not in topic, topic
        assert "+" not in topic, topic
        self.count += 1


class Target:
    """The parts of a bridge, and three boards behind a broker that answer what they are asked."""

    def __init__(self, folder: Path) -> None:
        flags = {"port": ["/dev/ptmx"], "store": str(folder / "s.db"), "http": "off"}
        self.core: Core = Service(config.load(None, flags)).core
        self.boards = MqttBoards(self.core, MqttBoardsConfig(Broker()))
        self.mqtt = MqttGateway(self.core, MqttConfig())
        self.app = make_app(self.core, WebConfig(), asyncio.Event())
        self.told = Told()
        self.statuses: Counter[int] = Counter()
        self._seq = 10**6
        self._csrf = b""

    def say(self, device: str, data: bytes) -> None:
        self.boards._message(f"fanwise/home/{device}/up", data, False)

    def answer(self) -> None:
        """What the links want to send: read by boards that answer commands with ok."""
        while not self.boards._outgoing.empty():
            topic, data = self.boards._outgoing.get_nowait()
            for kind, *rest in frames.Decoder().feed(data):
                if kind == frames.FRAME and rest[0]["t"] == "cmd":
                    self._seq += 1
                    rsp = {"t": "rsp", **HEAD, "seq": self._seq, "id": rest[0]["id"], "ok": True}
                    self.say(topic.split("/")[2], frames.encode(rsp))

    async def link(self, number: int, dice: random.Random) -> None:
        data = line(number, dice)
        device = dice.choice(DEVICES)
        while data:
            cut = dice.randrange(1, len(data) + 1)
            self.say(device, data[:cut])
            data = data[cut:]

    async def topic(self, number: int, dice: random.Random) -> None:
        topic = b"fanwise/home/box-one/" + dice.choice([b"up", b"link", b"down", b""])
        payload = dice.choice([b"online", b"lost", b"offline", line(number, dice)])
        if dice.random() < 0.7:
            topic = damaged(topic, dice)
        if dice.random() < 0.3:
            payload = damaged(payload, dice)
        text = topic.decode("utf-8", "replace")
        self.boards._message(text, payload, dice.random() < 0.2)

    async def command(self, number: int, dice: random.Random) -> None:
        asked = changed(dice.choice(COMMANDS), dice)
        payload = json.dumps(asked).encode()
        if dice.random() < 0.3:
            payload = damaged(payload, dice)
        await self._answered(self.mqtt._command(self.told, dice.choice(DEVICES), payload))  # type: ignore[arg-type]

    async def api(self, number: int, dice: random.Random) -> None:
        path = dice.choice(PATHS).encode()
        if dice.random() < 0.7:
            path = damaged(path, dice)
        path = bytes(byte for byte in path if 0x21 <= byte <= 0x7E)  # h11 refuses others
        raw, _, query = path.partition(b"?")
        wrong = changed(dice.choice(COMMANDS), dice)
        body = json.dumps({"device": "box-one", **wrong}).encode() \
            if isinstance(wrong, dict) else b"token=" + damaged(b"abc", dice)  # fmt: skip
        headers = [(b"host", b"127.0.0.1"), (b"content-length", b"%d" % len(body))]
        if dice.random() < 0.5:
            headers.append((b"x-fanwise-csrf", await self._token()))
        if dice.random() < 0.2:
            name = dice.choice([b"host", b"content-length", b"origin", b"cookie", b"authorization"])
            value = damaged(b"Bearer fanwise_session=1", dice)
            headers.append((name, bytes(byte for byte in value if byte > 31)))
        method = dice.choice(["GET", "GET", "GET", "POST", "HEAD", "OPTIONS", "DELETE"])
        if raw in (b"/login", b"/events") and method == "POST":
            return  # a wrong login is held up on purpose
        status, _ = await self._answered(self._asked(method, raw, query, headers, body))
        self.statuses[status] += 1
        assert status < 500 or status == 502, f"{method} {path!r} {body!r}: {status}"

    async def _token(self) -> bytes:
        if not self._csrf:
            host = [(b"host", b"127.0.0.1")]
            _, answer = await self._asked("GET", b"/api/session", b"", host, b"")
            self._csrf = json.loads(answer)["csrf"].encode()
        return self._csrf

    async def _asked(
        self, method: str, raw: bytes, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> tuple[int, bytes]:
        path = unquote(raw.decode())
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "raw_path": raw, "query_string": query,
            "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        sent: list[int] = []
        answer = b""
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return given.pop() if given else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            nonlocal answer
            if message["type"] == "http.response.start":
                sent.append(message["status"])
            answer += message.get("body", b"")

        await self.app(scope, receive, send)
        return sent[0], answer

    async def _answered(self, asking: Any) -> Any:
        """What is asked while boards answer."""
        task = asyncio.ensure_future(asking)
        while not task.done():
            await asyncio.sleep(0)
            self.answer()
        return task.result()

    async def look(self) -> None:
        """Show what is known now in every form there is."""
        topics = Topics(self.core.site)
        b"".join(views.boards(self.core)).decode()
        for board in list(self.core.registry.boards.values()):
            views.to_json(views.status(board))
            json.dumps([payloads.state(board), discovery(topics, board)], allow_nan=False)
            if board.decision:
                views.to_json(views.record(board.decision))
                json.dumps(payloads.explanation(board.decision))
            json.dumps(board.history.points(), allow_nan=False)
        for record in await self.core.writer.call(self.core.store.records, None, None, 20):
            views.to_json(views.record(record))


async def run(target: Target, count: int, seed: int, each: Callable[[int], None]) -> float:
    """`count` inputs; the longest one took, in CPU seconds. Raises what an input brings up."""
    kinds = [target.link] * 6 + [target.topic] * 2 + [target.command, target.api]
    writer = asyncio.create_task(target.core.writer.run())
    for device in DEVICES:
        target.say(device, frames.encode({**FRAMES[0], "dev": device}))
    longest = 0.0
    try:
        for number in range(count):
            dice = random.Random(f"{seed} {number}")
            kind = dice.choice(kinds)
            begun = time.thread_time()
            try:
                await kind(number, dice)
                if number % LOOK_EVERY == 0:
                    await target.look()
                    await asyncio.sleep(0.001)
            except Exception as error:
                error.add_note(f"input {number} of seed {seed}, {kind.__name__}")
                raise
            longest = max(longest, time.thread_time() - begun)
            target.answer()
            if writer.done():
                writer.result()
            each(number)
        while target.core.writer._waiting:
            await asyncio.sleep(0.01)
            if writer.done():
                writer.result()
    finally:
        writer.cancel()
        await target.core.writer.drain()
    return longest


def rss_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("fanwise").setLevel(logging.CRITICAL)

    def each(number: int) -> None:
        if number % (given.count // 10) == 0:
            print(f"{number:9} inputs, {rss_mb():.1f} MB", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        target = Target(Path(folder))
        longest = asyncio.run(run(target, given.count, given.seed, each))
        stored = target.core.writer.stored
    print(
        f"{given.count} inputs, {rss_mb():.1f} MB, the longest took {longest * 1000:.0f} ms of CPU"
    )
    print(f"{stored} records stored, answers of the API: {dict(sorted(target.statuses.items()))}")


if __name__ == "__main__":
    main()
