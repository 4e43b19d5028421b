"""What can go wrong in the bridge, as one short tree.

Everything under `StartError` ends the program with exit code 2 and one message. Once the bridge
runs nothing ends it: a `LinkError` or `StoreBusy` is logged once and tried again.
"""


class BridgeError(Exception):
    """Root of every error the bridge raises on purpose."""


class StartError(BridgeError):
    """The bridge cannot start as it is configured; the message says what to change."""


class ConfigError(StartError):
    """One or more settings are wrong. `problems` lists all of them."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        head = "1 setting is wrong" if len(problems) == 1 else f"{len(problems)} settings are wrong"
        super().__init__("\n".join([head + ":", *(f"  - {problem}" for problem in problems)]))


class PortInUse(StartError):
    """An address the bridge was told to listen on belongs to another program."""


class StoreUnusable(StartError):
    """The store cannot be opened, or is not a store of this program."""


class StoreFull(StoreUnusable):
    """There is no room for the store: the bridge waits for some."""


class LinkError(BridgeError):
    """A serial port could not be opened, or its other end is gone."""


class StoreBusy(BridgeError):
    """The store cannot take records now (disk full, locked, read-only); boards keep them."""


class StoreDamaged(StoreBusy):
    """The store's file is broken; it is set aside, and a new one takes what comes."""


class InvalidFrame(BridgeError):
    """A frame whose members are not what docs/frames.md promises."""


class CommandRefused(BridgeError):
    """A command was not sent: unknown name, wrong arguments, or no such board."""
