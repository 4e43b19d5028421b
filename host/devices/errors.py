"""What can go wrong with boards: one tree, each kind with the exit code its verb ends with.

docs/exit-codes.md is this file as a table.
"""

from collections.abc import Mapping
from typing import Any


class DeviceError(Exception):
    """Root of everything about boards as devices; the message says what to do next. `facts`: of
    the message, for programs.
    """

    exit_code = 1
    facts: Mapping[str, Any] = {}


class Stopped(KeyboardInterrupt):
    """Ctrl-C in the middle of something; the message says what that leaves."""


class UsageError(DeviceError):
    """The command line is wrong."""

    exit_code = 2


class ProblemsError(DeviceError):
    """Something with several faults at once. `problems`: one message each."""

    exit_code = 3

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class BoardFileError(ProblemsError):
    """A board's TOML is not usable."""


class SettingsError(ProblemsError):
    """Settings for a board that it would refuse, or that do not fit its model."""


class UnknownBoardError(DeviceError):
    """There is no board of that name."""

    exit_code = 3


class PortError(DeviceError):
    """No port, or several and none named."""

    exit_code = 4


class PortBusyError(DeviceError):
    """The port is there but cannot be opened: another program has it, or permission is missing."""

    exit_code = 5


class NoAnswerError(DeviceError):
    """Nothing, or nothing sensible, comes from the port."""

    exit_code = 6


class WrongChipError(DeviceError):
    """Another chip, or less flash, than the board's file says."""

    exit_code = 7


class VerifyError(DeviceError):
    """What is on the board is not what was written, or the board refused it."""

    exit_code = 8


class DownloadError(DeviceError):
    """An image could not be fetched."""

    exit_code = 9


class ImageError(DeviceError):
    """An image that is missing, damaged, for another chip, or not the one the lock names."""

    exit_code = 10


class BuildError(DeviceError):
    """What a board runs could not be compiled."""

    exit_code = 11


class FlashFullError(DeviceError):
    """No room on the board for what is to be written; nothing was."""

    exit_code = 12
