"""Telemetry while nobody listens: the newest few, and how many older ones made way."""


class Backlog:
    """A ring of encoded frames with a byte budget. `dropped` counts those that made way."""

    def __init__(self, budget: int = 1536):
        self._budget = budget
        self._lines: list = []
        self._bytes = 0
        self.dropped = 0

    def add(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)
        while self._bytes > self._budget:
            self._bytes -= len(self._lines.pop(0))
            self.dropped += 1

    def take(self):
        """The oldest line, or None."""
        if not self._lines:
            return None
        line = self._lines.pop(0)
        self._bytes -= len(line)
        return line
