"""What can go wrong with boards and their settings."""


class DeviceError(Exception):
    """Root of everything about boards as devices; the message says what to do next."""


class BoardFileError(DeviceError):
    """A board's TOML is not usable. `problems`: one message each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UnknownBoardError(DeviceError):
    """There is no board of that name."""


class SettingsError(DeviceError):
    """Settings for a board that it would refuse. `problems`: one message each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class BuildError(DeviceError):
    """What a board runs could not be compiled."""
