"""Plays boards on ptys: `python -m benchmarks.bridge.on_serial FOLDER --boards 200`.

The pty of board n is FOLDER/n. Says "ready", runs until its input closes, prints what it counted.
"""

import argparse
import heapq
import json
import os
import pty
import random
import selectors
import sys
import time
import tty
from pathlib import Path

from benchmarks.bridge.board import Board


class Wired:
    """A board on a pty of its own."""

    def __init__(self, path: Path, board: Board) -> None:
        self.board = board
        self.master, self._slave = pty.openpty()  # held open: the bridge closing is no hang-up
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        path.symlink_to(os.ttyname(self._slave))
        self._unsent = b""

    def write(self, data: bytes) -> None:
        self._unsent += data
        try:
            self._unsent = self._unsent[os.write(self.master, self._unsent) :]
        except BlockingIOError:
            pass  # a full pty: the rest goes with what comes next

    def read(self) -> None:
        self.write(self.board.received(os.read(self.master, 65536)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--boards", type=int, default=200)
    parser.add_argument("--period-s", type=float, default=1.0, help="of telemetry; 0: none")
    parser.add_argument("--decide-s", type=float, default=30.0, help="mean time between records")
    parser.add_argument("--saturate", action="store_true", help="records as fast as acknowledged")
    given = parser.parse_args()
    boards = [Wired(given.folder / str(n), Board(f"board-{n}")) for n in range(given.boards)]
    selector = selectors.DefaultSelector()
    for wired in boards:
        selector.register(wired.master, selectors.EVENT_READ, wired)
    selector.register(sys.stdin, selectors.EVENT_READ, None)
    print("ready", flush=True)
    now = time.monotonic()
    due = [(now + random.random(), n) for n in range(given.boards)]
    heapq.heapify(due)
    telemetry = 0
    while True:
        for key, _ in selector.select(max(0.0, due[0][0] - time.monotonic())):
            if key.data is None:
                told = {"telemetry": telemetry, "made": sum(w.board.made for w in boards)}
                told["acknowledged"] = sum(w.board.acknowledged for w in boards)
                print(json.dumps(told), flush=True)
                return
            key.data.read()
            while given.saturate and (frame := key.data.board.decide()):
                key.data.write(frame)
        now = time.monotonic()
        while due[0][0] <= now:
            at, n = heapq.heappop(due)
            wired = boards[n]
            if given.period_s:
                telemetry += 1
                wired.write(wired.board.telemetry())
                if random.random() < given.period_s / given.decide_s:
                    wired.write(wired.board.decide())
            wired.write(wired.board.repeats())
            heapq.heappush(due, (max(at, now - 1) + (given.period_s or 1.0), n))


if __name__ == "__main__":
    main()
