"""A relay module on a pin; the fan hangs on its normally closed contact."""

from __future__ import annotations

from host.simulation.devices.base import Device, Fault
from host.simulation.devices.physics import Machine
from host.simulation.devices.pins import Pin, Pins


class FanRelay(Device):
    """The coil draws only while its pin is driven high. Coil without current: contact closed, fan
    runs.

    So a board that is dead, in reset or has lost its wire leaves the fan running. STUCK is a welded
    or blocked contact: the fan stays as it was.
    """

    def __init__(self, pins: Pins, pin: int, machine: Machine) -> None:
        super().__init__(lambda: 0.0)
        self._pin = pins[pin]
        self._number = pin
        self._machine = machine
        self.switched = 0
        self._settle()
        pins.observers.append(self._observe)

    @property
    def energised(self) -> bool:
        """Whether current flows through the coil."""
        return self.connected and self._pin.driven == 1

    @property
    def fault(self) -> Fault:
        """The present fault; assigning takes effect at once."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        self._settle()

    def _observe(self, number: int, pin: Pin) -> None:
        if number == self._number:
            self._settle()

    def _settle(self) -> None:
        if self._fault is not Fault.STUCK:
            powered = not self.energised
            self.switched += powered != self._machine.fan_powered
            self._machine.fan_powered = powered
