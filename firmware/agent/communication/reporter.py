"""What the board says: stamps frames and gives each its way, durable or not.

Durable frames go to the outbox. Others are written at once; telemetry is also kept in the backlog
while no host listens, and sent again when one comes.
"""

from .frames import encode


class Reporter:
    """stamp: boot number; `wall` and `uptime` give the times a frame carries."""

    # Lines of the backlog per look at the line: 230 bytes take 20 ms at 115,200 baud.
    BACKLOG_LINES = 1

    def __init__(self, boot, uptime, wall, link, outbox, backlog):
        self._boot = boot
        self._uptime = uptime
        self._wall = wall
        self._link = link
        self._outbox = outbox
        self._backlog = backlog
        self._seq = 0
        self._durable_seq = 0

    def _stamp(self, frame, seq):
        frame["boot"] = self._boot
        frame["seq"] = seq
        if "ms" not in frame:
            frame["ms"] = self._uptime.ms()
        at = self._wall.at(frame["ms"])
        if at is not None:
            frame["at"] = at
        return encode(frame)

    def say(self, frame: dict) -> bytes:
        """Sends a volatile frame now; returns its line."""
        self._seq += 1
        line = self._stamp(frame, self._seq)
        self._link.write(line)
        return line

    def log(self, level: str, message: str) -> None:
        """For people."""
        self.say({"t": "log", "lvl": level, "msg": message[:300]})

    def telemetry(self, frame: dict, now_ms: int) -> None:
        line = self.say(frame)
        if not self._link.connected(now_ms):
            self._backlog.add(line)

    def keep(self, frame: dict) -> None:
        """Queues a durable frame; `ms` may already be there, the time it is about."""
        self._durable_seq += 1
        line = self._stamp(frame, self._durable_seq)
        self._outbox.add(self._boot, self._durable_seq, line, self._uptime.ms())

    def flush(self, now_ms: int) -> None:
        """Sends what is due."""
        connected = self._link.connected(now_ms)
        for line in self._outbox.due(now_ms, connected):
            self._link.write(line)
        if connected:
            for _ in range(self.BACKLOG_LINES):
                line = self._backlog.take()
                if line is None:
                    break
                self._link.write(line)
