"""The tachometer wire of a fan: an open collector that pulls its pin low a number of times per
revolution.
"""

from __future__ import annotations

from collections.abc import Callable

from host.simulation.devices.base import Device, Fault
from host.simulation.devices.pins import IRQ_FALLING, IRQ_RISING, Pin


class Tachometer(Device):
    """Counts the edges that the pin's interrupt would have seen since they were last taken."""

    PULSES_PER_REVOLUTION = 2
    NOISE_PULSES_PER_S = 40.0
    EDGES_KEPT = 60_000

    def __init__(self, pin: Pin, rpm: Callable[[], float], seed: int | str = 0) -> None:
        super().__init__(rpm, seed)
        self._pin = pin
        self._phase = 0.0
        self._pulses = 0
        self._settle()

    def advance(self, now_us: int, dt_us: int) -> None:
        """Turn the fan."""
        if self.connected:
            rate = self.measure() / 60 * self.PULSES_PER_REVOLUTION
            if self.fault is Fault.NOISY:
                rate += self.noise.uniform(0, 2 * self.NOISE_PULSES_PER_S)
            self._phase += max(0.0, rate) * dt_us / 1e6
            whole = int(self._phase)
            self._phase -= whole
            self._pulses += whole
        self._settle()

    def _settle(self) -> None:
        # Unplugged, the wire floats and only the pin's pull decides.
        self._pin.outside = (0 if self._phase >= 0.5 else 1) if self.connected else None

    def take_edges(self) -> int:
        """Edges for the interrupt handler since the last call; none if the pin has no handler."""
        pulses, self._pulses = self._pulses, 0
        trigger = self._pin.irq_trigger
        edges = pulses * (bool(trigger & IRQ_FALLING) + bool(trigger & IRQ_RISING))
        return min(edges, self.EDGES_KEPT)
