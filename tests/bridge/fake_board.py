"""A scripted board on a real pty: speaks docs/frames.md, as well or as badly as a test asks."""

import os
import pty
import select
import threading
import time
import tty
from pathlib import Path
from typing import Any

from agent.communication import frames

WINDOW = 4


class FakeBoard:
    """Answers rebirth, ping and commands; repeats unacknowledged durable frames.

    `path` is a symlink to the pty, as simulated boards have it.
    """

    def __init__(
        self, path: Path, device: str, boot: int = 1, repeat_s: float = 0.3, answers: bool = True
    ) -> None:
        self.path = path
        self.device = device
        self.boot = boot
        self.repeat_s = repeat_s
        self.answers = answers
        self.clock_error_s = 0
        self.hello_wanted = True
        self.received: list[dict[str, Any]] = []
        self.acked: set[tuple[int, int]] = set()
        self.queue: list[dict[str, Any]] = []
        self.host_text = b""
        self._volatile = self._durable = 0
        self.born_s = time.monotonic()
        self._lock = threading.RLock()
        self._next_repeat = 0.0
        self._sent: set[tuple[int, int]] = set()
        self._stop = threading.Event()
        self.open()

    def open(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        if self.path.is_symlink():
            self.path.unlink()
        self.path.symlink_to(os.ttyname(self._slave))
        # Held open so that the bridge closing its end is no hang-up for the board.
        self._stop.clear()
        self._decoder = frames.Decoder()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Pull the plug: the path vanishes, the bridge reads a hang-up."""
        self._stop.set()
        self._thread.join()
        if self.path.is_symlink():
            self.path.unlink()
        os.close(self._master)
        os.close(self._slave)

    def restart(self) -> None:
        """Start anew: the next boot number, sequence numbers from 1, the queue as it was."""
        with self._lock:
            self.boot += 1
            self._volatile = self._durable = 0
        self.hello()

    def __enter__(self) -> "FakeBoard":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._stop.is_set():
            self.close()

    # -- sending -----------------------------------------------------------------------------------

    def raw(self, data: bytes) -> None:
        with self._lock:
            while data and not self._stop.is_set():
                try:
                    data = data[os.write(self._master, data) :]
                except BlockingIOError:
                    time.sleep(0.002)

    def head(self, kind: str, seq: int) -> dict[str, Any]:
        ms = int((time.monotonic() - self.born_s) * 1000)
        at = int(time.time()) + self.clock_error_s
        return {"t": kind, "boot": self.boot, "seq": seq, "ms": ms, "at": at}

    def volatile(self, kind: str, /, **members: Any) -> None:
        with self._lock:
            self._volatile += 1
            self.raw(frames.encode({**self.head(kind, self._volatile), **members}))

    def hello(self) -> None:
        models = {"cooling": "cooling@3", "anomaly": "anomaly@2"}
        self.volatile(
            "hello", dev=self.device, fw="0.1.0", board="sim", cause="power_on", models=models,
            feat=["case_mc"], free=81234, limit_mc=45000, safe=False, queued=0, dropped=0,
        )  # fmt: skip

    def bye(self, sleep_s: int) -> None:
        """Go to sleep: nothing comes behind it."""
        with self._lock:
            self.answers = self.hello_wanted = False
            self.volatile("bye", sleep_s=sleep_s)

    def tel(self, **members: Any) -> None:
        values = {
            "case_mc": 44310, "ambient_mc": 23100, "supply_mv": 12010, "current_ma": 410,
            "power_mw": 5120, "fan_rpm": 0, "fan": 0, "fc_off_mc": 45420, "fc_on_mc": 43100,
            "score": 31, "thr": 90, "anom": 0, "rule": "forecast", "ov": 0, "drop": 0,
        }  # fmt: skip
        self.volatile("tel", **{**values, **members})

    def make(self, kind: str, /, **members: Any) -> dict[str, Any]:
        """A durable frame with the next number, not sent yet."""
        with self._lock:
            self._durable += 1
            return {**self.head(kind, self._durable), **members}

    def make_up(self) -> dict[str, Any]:
        """A frame that is never sent whole."""
        return {**self.head("tel", self._volatile + 1), "case_mc": 44310, "fan": 0}

    def durable(self, kind: str, /, **members: Any) -> dict[str, Any]:
        """Queue a durable frame; it is sent and repeated until acknowledged."""
        with self._lock:
            frame = self.make(kind, **members)
            self.queue.append(frame)
            return frame

    def decide(self, **members: Any) -> dict[str, Any]:
        return self.durable("dec", **{**decision(), **members})

    # -- receiving ---------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            ready, _, _ = select.select([self._master], [], [], 0.01)
            if ready:
                try:
                    data = os.read(self._master, 4096)
                except (BlockingIOError, OSError):
                    data = b""
                for kind, *rest in self._decoder.feed(data):
                    if kind == frames.TEXT:
                        self.host_text += rest[0]
                    else:
                        self._frame(rest[0])
            self._pump()

    def _frame(self, frame: dict[str, Any]) -> None:
        """Whoever sees what was received sends behind what this answers."""
        with self._lock:
            self.received.append(frame)
            self._answer(frame)

    def _answer(self, frame: dict[str, Any]) -> None:
        if frame["t"] == "ack":
            self.acked |= {tuple(key) for key in frame["acks"]}
            self.queue = [f for f in self.queue if (f["boot"], f["seq"]) not in self.acked]
        elif frame["t"] == "cmd":
            if frame["name"] == "rebirth" and self.hello_wanted:
                self.hello()
            if self.answers:
                self.volatile("rsp", id=frame["id"], ok=True)

    def _pump(self) -> None:
        with self._lock:
            window = self.queue[:WINDOW]
            now = time.monotonic()
            repeat = now >= self._next_repeat
            if repeat:
                self._next_repeat = now + self.repeat_s
            for frame in window:
                key = (frame["boot"], frame["seq"])
                if repeat or key not in self._sent:
                    self._sent.add(key)
                    self.raw(frames.encode(frame))

    def commands(self, name: str) -> list[dict[str, Any]]:
        return [f for f in self.received if f["t"] == "cmd" and f["name"] == name]


def decision(**members: Any) -> dict[str, Any]:
    """The example of docs/decision-record.md, with `members` changed."""
    return {
        "model": "cooling@3", "amodel": "anomaly@2",
        "in": {"case_mc": 44310, "ambient_mc": 23100, "power_mw": 5120, "power_avg_mw": 4980,
               "trend_mk": 610, "fan_rpm": 0},
        "limit_mc": 45000, "fc_off_mc": 45420, "fc_on_mc": 43100, "score": 31, "thr": 90, "anom": 0,
        "rule": "forecast", "ask": 1, "set": 1, "held": None,
        "why": "Fan on because the case would reach 45.4 C in 60 s with it off (limit 45.0 C); "
               "mostly power +0.9 K, trend +0.4 K",
        "phi": {"of": "fc_off", "unit": "mK", "num": [1200, -9000, 25210, 300, 12100, 0],
                "names": ["case_mc", "ambient_mc", "power_mw", "power_avg_mw", "trend_mk",
                          "fan_rpm"],
                "den": 1440, "base_num": -2304, "lsb": 47.1, "err": 0, "bid": "cooling@3#b"},
        **members,
    }  # fmt: skip
