"""Faults, chosen by dice, against a bridge with serial boards, a broker, a file and a webhook.

    python -m tests.bridge.faults --count 1000 --seed 1

Boards make records all the while. In the end every one is in the store exactly once, and every
gateway has delivered it at least once, or the run says which were not.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from agent.communication import frames
from tests.bridge.conftest import Bridge, eventually
from tests.bridge.fake_board import FakeBoard
from tests.bridge.mosquitto import Mosquitto
from tests.bridge.proxy import Network, Proxy
from tests.bridge.receivers import Key, Subscriber, Webhook

BOARDS = 3


class World:
    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        self.made: set[Key] = set()
        self.broker = Mosquitto(folder)
        self.proxy = Proxy(self.broker.port)
        self.subscriber = Subscriber(self.broker.port)
        self.subscriber.connect()
        self.webhook = Webhook()
        self.boards = [FakeBoard(folder / f"pty-{n}", f"box-{n}") for n in range(BOARDS)]
        self.lines = folder / "records.jsonl"
        self.settings = folder / "bridge.toml"
        kinds = 'kinds = ["alarms", "decisions"]\n'
        self.settings.write_text(
            f"ports = {[str(board.path) for board in self.boards]}\nkeepalive_s = 1.0\n"
            f'[mqtt]\nurl = "mqtt://127.0.0.1:{self.proxy.port}"\n'
            f'[file]\npath = "{self.lines}"\n{kinds}'
            f'[webhook]\nurl = "{self.webhook.url}"\ntimeout_s = 0.5\n{kinds}'
        )
        self.pages: list[socket.socket] = []
        self.bridge = Bridge(folder)
        self.restarts = 0
        self._ended = threading.Event()
        self._starting = threading.Lock()
        self.start_bridge()
        eventually(self.up)
        self._manager = threading.Thread(target=self._manage, daemon=True)
        self._manager.start()

    def start_bridge(self) -> None:
        words = ("--config", str(self.settings))
        self.bridge.start(*words, module="tests.bridge.jumping_clock", wait=False)

    def _manage(self) -> None:
        """As a service manager: a bridge that ends (its disk was full as it started) is started."""
        while not self._ended.wait(0.2):
            with self._starting:
                if self.bridge.process and self.bridge.process.poll() is not None:
                    self.restarts += 1
                    self.start_bridge()

    def up(self) -> bool:
        try:
            return self.bridge.ready()
        except AssertionError:
            return False  # the manager starts it again

    def records(self) -> None:
        """A few new ones; a board is torn out sometimes, so some are made while it is away."""
        board = self.dice.choice(self.boards)
        for _ in range(self.dice.randrange(1, 6)):
            frame = (
                board.decide()
                if self.dice.random() < 0.8
                else board.durable("alarm", kind="fan", on=self.dice.randrange(2), why="x", val=1)
            )
            self.made.add((board.device, frame["boot"], frame["seq"]))

    def pause(self, most_s: float = 0.4) -> None:
        time.sleep(self.dice.random() * most_s)

    # -- faults: each ends with the world whole, and what it broke not yet recovered ---------------

    def torn_line(self) -> None:
        """A serial line torn out in the middle of a frame."""
        board = self.dice.choice(self.boards)
        frame = frames.encode(board.make_up())
        board.raw(frame[: self.dice.randrange(1, len(frame))])
        board.close()
        self.pause()
        board.open()

    def noise(self) -> None:
        """Bytes that are no frames, and damaged ones."""
        board = self.dice.choice(self.boards)
        frame = bytearray(frames.encode(board.make_up()))
        frame[self.dice.randrange(len(frame))] ^= 1 << self.dice.randrange(8)
        board.raw(self.dice.randbytes(self.dice.randrange(2000)) + bytes(frame))

    def board_restarts(self) -> None:
        self.dice.choice(self.boards).restart()

    def board_clock(self) -> None:
        """A board's clock jumps by years."""
        self.dice.choice(self.boards).clock_error_s = self.dice.randrange(-(10**9), 10**9)

    def bridge_clock(self) -> None:
        """The machine's clock jumps ten years ahead, or back."""
        self.signalled(signal.SIGUSR2)

    def reloaded(self) -> None:
        self.signalled(signal.SIGHUP)

    def broker_killed(self) -> None:
        """A broker that comes back empty. The bridge is let in when the subscriber is there, since
        brokers give events only to those who are."""
        self.proxy.network = Network.REFUSES
        self.broker.kill()
        self.subscriber.leave()
        self.pause()
        self.broker.start()
        self.subscriber.connect()
        self.proxy.network = Network.PASSES

    def broker_stopped(self) -> None:
        """A broker that does not answer, and then does."""
        self.broker.signal(signal.SIGSTOP)
        self.pause(1.0)
        self.broker.signal(signal.SIGCONT)

    def half_open(self) -> None:
        """Bytes between bridge and broker vanish, then the connection goes."""
        self.proxy.network = Network.SWALLOWS
        self.pause(1.0)
        self.proxy.cut()
        self.proxy.network = Network.PASSES

    def bridge_killed(self) -> None:
        with self._starting:
            self.bridge.kill()
            self.close_pages()
            self.pause(0.2)
            self.start_bridge()
        time.sleep(0.5 * self.dice.random())

    def disk_full(self) -> None:
        """No file may grow beyond a few kilobytes more than some is now."""
        pid = self.pid()
        room = self.dice.randrange(20_000)
        wal = Path(f"{self.bridge.store}-wal")
        size = self.dice.choice([self.lines, wal, self.bridge.store])
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        with contextlib.suppress(FileNotFoundError):
            room += size.stat().st_size
        with contextlib.suppress(ProcessLookupError):  # it ended, and is started again
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, hard))
            self.records()
            self.pause(1.0)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

    def webhook_hangs(self) -> None:
        self.webhook.hangs_s = self.dice.choice([0.2, 0.7])
        self.pause(1.0)
        self.webhook.hangs_s = 0.0

    def webhook_fails(self) -> None:
        self.webhook.status = self.dice.choice([500, 503, 404, 301])
        self.pause(1.0)
        self.webhook.status = 204

    def page_that_does_not_read(self) -> None:
        eventually(self.up)
        try:
            page = socket.create_connection(("127.0.0.1", self.bridge.port), 1)
            page.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            self.pages.append(page)
        except OSError:
            pass  # the bridge is just starting
        for board in self.boards:
            for _ in range(50):
                board.tel()
        if len(self.pages) > 8:
            self.close_pages()

    # -- in the end --------------------------------------------------------------------------------

    def close_pages(self) -> None:
        for page in self.pages:
            page.close()
        self.pages.clear()

    def signalled(self, number: int) -> None:
        """To the bridge, once it has come far enough to know the signal."""
        eventually(self.up)
        os.kill(self.pid(), number)

    def pid(self) -> int:
        assert self.bridge.process
        return self.bridge.process.pid

    def delivered(self) -> dict[str, Counter[Key]]:
        lines: Counter[Key] = Counter()
        written = self.lines.read_bytes() if self.lines.exists() else b""
        for line in written.split(b"\n")[:-1]:  # the last one may be just being written
            record = json.loads(line)
            lines[record["device"], record["boot"], record["seq"]] += 1
        return {"file": lines, "webhook": self.webhook.posts, "mqtt": self.subscriber.events}

    def missing(self) -> dict[str, int]:
        """How many each gateway still owes."""
        owed = {name: len(self.made - set(seen)) for name, seen in self.delivered().items()}
        owed["boards"] = sum(len(board.queue) for board in self.boards)
        return {name: count for name, count in owed.items() if count}

    def close(self) -> None:
        self._ended.set()
        self._manager.join()
        self.close_pages()
        for board in self.boards:
            board.close()
        self.bridge.end()
        self.proxy.close()
        self.subscriber.leave()
        self.broker.kill()
        self.webhook.close()


FAULTS: list[Callable[[World], None]] = [
    World.torn_line, World.torn_line, World.noise, World.board_restarts, World.board_clock,
    World.bridge_clock, World.reloaded, World.broker_killed, World.broker_stopped, World.half_open,
    World.bridge_killed, World.bridge_killed, World.disk_full, World.disk_full,
    World.webhook_hangs, World.webhook_fails, World.page_that_does_not_read,
]  # fmt: skip


def run(folder: Path, count: int, seed: int, recover_s: float = 200) -> dict[str, int]:
    """`count` faults, then what is counted. Raises AssertionError where a promise is broken."""
    world = World(folder, seed)
    done: Counter[str] = Counter()
    try:
        order = world.dice.sample(FAULTS, len(FAULTS))
        for number in range(count):
            world.records()
            fault = order[number] if number < len(order) else world.dice.choice(FAULTS)
            fault(world)
            done[fault.__name__] += 1
            world.records()
            world.pause()
        eventually(lambda: not world.missing(), recover_s, Owed(world))
        stored = [(b.device, *key) for b in world.boards for key in world.bridge.keys(b.device)]
        assert len(stored) == len(set(stored)), "records were stored twice"
        lost, foreign = world.made - set(stored), set(stored) - world.made
        assert not lost, sorted(lost)
        assert not foreign, sorted(foreign)
        told = {"faults": count, "made": len(world.made), "stored": len(stored)}
        delivered = world.delivered()
        for name, seen in delivered.items():
            told[name] = len(seen)
            told[f"{name} copies"] = seen.total() - len(seen)
        return told | {"ended by itself": world.restarts} | dict(done)
    finally:
        world.close()


class Owed:
    """What is missing, for the words of a failure."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __str__(self) -> str:
        return f"delivered and stored everything, but {self._world.missing()}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        print(json.dumps(run(folder, given.count, given.seed)))
    except BaseException:
        print(f"what is left of it: {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
