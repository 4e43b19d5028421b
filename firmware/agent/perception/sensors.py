"""All sensors of a board: one reading of each per period, and no exception gets out."""

from .channel import Channel
from .errors import SensorError

# role: lowest, highest, fastest change per second
PLAUSIBLE = {
    "case": (-40000, 125000, 8000),
    "ambient": (-30000, 105000, 15000),
    "power": (0, 200000, 200000),
    "fan": (0, 20000, 20000),
}
# A driver that cannot even be made (wrong pin, say) is tried again this often.
REMAKE_PERIODS = 10


def make_driver(settings):
    """The driver object for a sensor's settings. Modules load only where they are used."""
    args = {key: value for key, value in settings.items() if key != "driver"}
    kind = settings["driver"]
    if kind == "ds18b20":
        from .ds18b20 import DS18B20

        return DS18B20(**args)
    if kind == "ntc":
        from .ntc import Ntc

        return Ntc(**args)
    if kind == "ina219":
        from .ina219 import INA219

        return INA219(**args)
    if kind == "tach":
        from .tach import Tachometer

        return Tachometer(**args)
    raise SensorError("there is no driver %r" % kind)


class Sensors:
    """`case`, `ambient`, `power`, `fan`: Channels; one that is not fitted never has a value and is
    not in `fitted`. `supply_mv`, `current_ma`: what came with the power, or None.
    """

    def __init__(self, settings, now_ms=0, make=make_driver):
        self._make = make
        self.supply_mv = None
        self.current_ma = None
        self.fitted: list = []
        self._entries: list = []
        for role in ("case", "ambient", "power", "fan"):
            low, high, step = PLAUSIBLE[role]
            channel = Channel(role, low, high, step, now_ms)
            setattr(self, role, channel)
            if role in settings:
                self.fitted.append(channel)
                # [channel, settings, driver, periods until it is made again]
                entry = [channel, settings[role], None, 0]
                self._entries.append(entry)
                try:
                    self._remake(entry)
                except Exception as error:
                    channel.reason = "%s: %s" % (type(error).__name__, error)
            else:
                channel.reason = "there is none"

    def read(self, now_ms: int) -> None:
        """Reads every sensor once."""
        for entry in self._entries:
            channel = entry[0]
            try:
                if entry[2] is None:
                    self._remake(entry)
                channel.accept(entry[2].read(now_ms), now_ms)
            except SensorError as error:
                channel.refuse(str(error), now_ms)
            except Exception as error:
                channel.refuse("%s: %s" % (type(error).__name__, error), now_ms)
            if channel is self.power:  # type: ignore[attr-defined]
                ok = channel.value is not None
                self.supply_mv = entry[2].supply_mv if ok else None
                self.current_ma = entry[2].current_ma if ok else None

    def _remake(self, entry):
        if entry[3] > 0:
            entry[3] -= 1
            raise SensorError(entry[0].reason)
        entry[3] = REMAKE_PERIODS
        entry[2] = self._make(entry[1])
        entry[3] = 0
