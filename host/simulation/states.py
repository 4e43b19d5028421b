"""Why a board started, and where it is between two requests on its bus."""

import enum


class Cause(enum.IntEnum):
    """machine.reset_cause() of an ESP32."""

    POWER_ON = 1
    HARD = 2
    WATCHDOG = 3
    DEEP_SLEEP = 4
    SOFT = 5


CHATTER = {
    Cause.POWER_ON: "rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)",
    Cause.HARD: "rst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)",
    Cause.WATCHDOG: "rst:0x8 (TG1WDT_SYS_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)",
}


class State(enum.Enum):
    """Where a board is between two requests on its bus."""

    OFF = enum.auto()
    RESTARTING = enum.auto()  # reset and boot loader, until `wake_us`
    BOOTING = enum.auto()  # the VM has not said hello yet
    RUNNING = enum.auto()
    SLEEPING = enum.auto()  # until `wake_us`
    ABSENT = enum.auto()  # runs for so long that the clock no longer waits for it
    IDLE = enum.auto()  # waits for something other than time, such as input
