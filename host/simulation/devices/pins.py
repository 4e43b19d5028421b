"""The GPIO pins of a board: direction, pull, output latch, and what the world drives into them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

MODE_IN, MODE_OUT, MODE_OPEN_DRAIN = 1, 3, 7
PULL_DOWN, PULL_UP = 1, 2
IRQ_RISING, IRQ_FALLING = 1, 2


@dataclass
class Pin:
    """One pin. `outside` is the level the world drives, None for a floating wire."""

    mode: int = MODE_IN
    pull: int = 0
    latch: int = 0
    irq_trigger: int = 0
    outside: int | None = None

    @property
    def driven(self) -> int | None:
        """The level this pin drives onto its wire; None when it does not drive."""
        if self.mode == MODE_OUT:
            return self.latch
        if self.mode == MODE_OPEN_DRAIN and not self.latch:
            return 0
        return None

    @property
    def level(self) -> int:
        """The level read back from the wire."""
        for level in (self.driven, self.outside):
            if level is not None:
                return level
        return 1 if self.pull == PULL_UP else 0


@dataclass
class Pins:
    """All pins by number; observers are called with (number, pin) after each change."""

    observers: list[Callable[[int, Pin], None]] = field(default_factory=list)
    _pins: dict[int, Pin] = field(default_factory=dict)

    def __getitem__(self, number: int) -> Pin:
        return self._pins.setdefault(number, Pin())

    def configure(self, number: int, mode: int, pull: int) -> None:
        """Set direction (0 keeps it) and pull."""
        pin = self[number]
        pin.mode = mode or pin.mode
        pin.pull = pull
        self._changed(number)

    def write(self, number: int, level: int) -> None:
        """Set the output latch."""
        self[number].latch = level
        self._changed(number)

    def reset(self) -> None:
        """All pins become inputs without interrupt, as on a chip coming out of reset."""
        for number, pin in self._pins.items():
            pin.mode, pin.pull, pin.latch, pin.irq_trigger = MODE_IN, 0, 0, 0
            self._changed(number)

    def levels(self) -> dict[int, int]:
        """The level of every pin used so far."""
        return {number: pin.level for number, pin in sorted(self._pins.items())}

    def _changed(self, number: int) -> None:
        for observer in self.observers:
            observer(number, self[number])
