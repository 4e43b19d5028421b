"""One played board, without its I/O: what it says when, as docs/frames.md has it.

`ms` of what it says is the time on this machine's monotonic clock in microseconds, so that who
sees it elsewhere on this machine knows how long it took; telemetry has it in `score`, too.
"""

import random
import time
from typing import Any

from agent.communication import frames

WINDOW = 4
REPEAT_S = 3.0
WHY = "Fan on because the case would reach 45.4 C in 60 s with it off (limit 45.0 C); mostly power"
NAMES = ["case_mc", "ambient_mc", "power_mw", "power_avg_mw", "trend_mk", "fan_rpm"]
DECISION = {
    "model": "cooling@3", "amodel": "anomaly@2",
    "in": {"case_mc": 44310, "ambient_mc": 23100, "power_mw": 5120, "power_avg_mw": 4980,
           "trend_mk": 610, "fan_rpm": 0},
    "limit_mc": 45000, "fc_off_mc": 45420, "fc_on_mc": 43100, "score": 31, "thr": 90, "anom": 0,
    "rule": "forecast", "ask": 1, "set": 1, "held": None, "why": WHY + " +0.9 K, trend +0.4 K",
    "phi": {"of": "fc_off", "unit": "mK", "num": [1200, -9000, 25210, 300, 12100, 0],
            "names": NAMES, "den": 1440, "base_num": -2304, "lsb": 47.1, "err": 0,
            "bid": "cooling@3#b"},
}  # fmt: skip
READINGS = {
    "case_mc": 44310, "ambient_mc": 23100, "supply_mv": 12010, "current_ma": 410, "power_mw": 5120,
    "fan_rpm": 0, "fan": 0, "fc_off_mc": 45420, "fc_on_mc": 43100, "score": 31, "thr": 90,
    "anom": 0, "rule": "forecast", "ov": 0, "drop": 0,
}  # fmt: skip
HELLO = {
    "fw": "0.1.0", "board": "sim", "cause": "power_on", "models": {"cooling": "cooling@3"},
    "feat": ["case", "ambient", "power", "fan"], "free": 81234, "limit_mc": 45000, "safe": False,
    "queued": 0, "dropped": 0,
}  # fmt: skip


def now_us() -> int:
    return time.monotonic_ns() // 1000


class Board:
    """Durable frames are repeated until acknowledged, WINDOW of them at a time."""

    def __init__(self, device: str, boot: int = 1, window: int = WINDOW) -> None:
        self.device = device
        self.acknowledged = 0
        self._boot = boot
        self._window = window
        self._seq = {"volatile": 0, "durable": 0}
        self._waiting: dict[int, tuple[float, bytes]] = {}  # seq: (when to repeat, frame)
        self._decoder = frames.Decoder()

    def _frame(self, stream: str, kind: str, members: dict[str, Any]) -> bytes:
        self._seq[stream] += 1
        head = {"t": kind, "boot": self._boot, "seq": self._seq[stream], "ms": now_us()}
        return frames.encode({**head, "at": int(time.time()), **members})

    def hello(self) -> bytes:
        return self._frame("volatile", "hello", {"dev": self.device, **HELLO})

    def telemetry(self) -> bytes:
        return self._frame("volatile", "tel", self.readings())

    def readings(self) -> dict[str, Any]:
        return {**READINGS, "case_mc": 44310 + random.randrange(2000), "score": now_us()}

    def decide(self) -> bytes:
        """A new record, b"" while the window is full."""
        if len(self._waiting) >= self._window:
            return b""
        frame = self._frame("durable", "dec", DECISION)
        self._waiting[self._seq["durable"]] = (time.monotonic() + REPEAT_S, frame)
        return frame

    def repeats(self) -> bytes:
        now = time.monotonic()
        due = [(seq, frame) for seq, (at, frame) in self._waiting.items() if at <= now]
        for seq, frame in due:
            self._waiting[seq] = (now + REPEAT_S, frame)
        return b"".join(frame for _, frame in due)

    @property
    def made(self) -> int:
        return self._seq["durable"]

    def received(self, data: bytes) -> bytes:
        """Bytes from the host; what to answer."""
        answers = b""
        for kind, *rest in self._decoder.feed(data):
            if kind != frames.FRAME:
                continue
            said = rest[0]
            if said["t"] == "ack":
                for boot, seq in said["acks"]:
                    if boot == self._boot and self._waiting.pop(seq, None):
                        self.acknowledged += 1
            elif said["t"] == "cmd":
                if said["name"] == "rebirth":
                    answers += self.hello()
                answers += self._frame("volatile", "rsp", {"id": said["id"], "ok": True})
        return answers
