"""Why a sensor has no reading."""


class SensorError(Exception):
    """The message is the reason, in words."""
