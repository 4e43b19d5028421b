"""What can go wrong in a simulation, as one short tree."""


class SimulationError(Exception):
    """Root of every error the simulation raises on purpose."""


class VmError(SimulationError):
    """No MicroPython VM that boards can run on could be found, downloaded or built."""


class BoardError(SimulationError):
    """A simulated board was wired, started or used wrongly, or its VM does not answer."""


class FlashError(SimulationError):
    """The contents of a board's flash could not be written or compiled."""
