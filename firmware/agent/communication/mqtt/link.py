"""The board's link over Wi-Fi and a broker, beside the console, which stays what it is.

The console shows every frame and takes commands and the time; durable frames are acknowledged by
whoever listens behind the broker, and by nobody else.
"""

import json

from ...plain import release
from ..link import HOST_SILENT_MS
from . import packets, session
from .packets import BrokerError
from .pause import Pause
from .session import Buffers, Session, Topics, shut
from .wifi import Wifi

SECRETS = "/secrets.json"
CA_FILE = "/ca.der"
# A session that lasts so long ends the growing of the pauses between tries.
GOOD_MS = 60000


def secrets(path=SECRETS):
    """{"wifi": password, "mqtt": password}, each may be missing. Raises OSError or ValueError."""
    with open(path) as file:
        found = json.load(file)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


class MqttLink:
    """console: a SerialLink. make: network.WLAN. `came_up` is called when the broker has taken the
    board in, log(level, message) with what people should know; both may write frames.

    Nothing that goes wrong with network or broker leaves it as an exception.
    """

    def __init__(self, console, config, passwords, make):
        mqtt = config.mqtt
        self._console = console
        self._topics = Topics(config.site, config.device)
        self._keepalive_ms = mqtt["keepalive_s"] * 1000
        self._broker = mqtt
        self._greeting = packets.connect(
            config.device,
            mqtt["keepalive_s"],
            mqtt["user"],
            passwords.get("mqtt", ""),
            self._topics.link,
            "lost",
        )
        self._wifi = Wifi(make, config.wifi["ssid"], passwords.get("wifi") or None)
        self._dialer = None
        self._found: dict = {}
        self._buffers = Buffers()
        self._pause = Pause()
        self._socket = None
        self._session = None
        self._up_ms = 0
        self._heard_ms = None
        self._told = ""
        self.came_up = self.log = _nobody
        self.why = ""  # the newest trouble, a code of agent/rare/link_words.py
        self.sessions = self.failures = self.bad = self.dropped = 0

    def tend(self, now_ms: int) -> None:
        """One step towards a session. Called once a period, right after the watchdog was fed."""
        try:
            if not self._wifi.tend(now_ms):
                return
        except Exception as error:
            self._fail(error)
            return
        try:
            if self._session is None:
                if self._pause.over(now_ms):
                    self._dial(now_ms)
            elif self._up_ms and now_ms - self._up_ms >= GOOD_MS:
                self._pause.reset()
        except Exception as error:
            self._fail(error)
            self._pause.begin(now_ms)

    def _dial(self, now_ms):
        if self._dialer is None:
            self._dialer = _dialer(self._broker, self._greeting, self._found)
        self._socket = self._dialer.step(self._wifi.name_server(), now_ms)
        if self._socket:
            self._dialer = None
            self._session = Session(
                self._socket, self._topics, self._keepalive_ms, self._buffers, now_ms
            )

    def read(self, now_ms: int) -> list:
        """The frames that have come in, by either way. Never waits."""
        frames = [frame for frame in self._console.read(now_ms) if frame["t"] != "ack"]
        if self._session is None:
            return frames
        try:
            was = self._session.state
            found = self._session.look(now_ms)
            if found:
                self._heard_ms = now_ms
                frames += found
            if was != self._session.state == session.UP:
                self._begin(now_ms)
        except Exception as error:
            self._fail(error)
            self._pause.begin(now_ms)
        return frames

    def write(self, line: bytes) -> None:
        self._console.write(line)
        if self._session and self._session.state == session.UP:
            try:
                self._session.publish(line)
            except MemoryError:
                self.dropped += 1

    def connected(self, now_ms: int) -> bool:
        return (
            self._session is not None
            and self._heard_ms is not None
            and now_ms - self._heard_ms < HOST_SILENT_MS
        )

    def report(self, now_ms: int) -> dict:
        """For the health frame (docs/frames.md)."""
        current = self._session
        if current:
            state = current.state
        else:
            state = self._dialer.state if self._dialer else "waiting"
        return {
            "wifi": self._wifi.state,
            "rssi": self._wifi.rssi(),
            "broker": state,
            "up": self.sessions,
            "fail": self.failures,
            "bad": self.bad + (current.bad if current else 0),
            "drop": self.dropped + (current.dropped if current else 0),
            "why": self.why,
        }

    def close(self) -> None:
        """A clean end."""
        try:
            if self._session:
                self._session.end()
        except Exception:
            pass
        self._forget()

    def _begin(self, now_ms):
        self.sessions += 1
        self._up_ms = now_ms
        self._heard_ms = None
        self._told = ""
        self.log("info", "broker: connected")
        self.came_up()

    def _fail(self, error):
        self.failures += 1
        try:
            self.why = _code(error)
            self._forget()
            if self.why != self._told:
                self._told = self.why
                self._tell()
        except Exception:
            # Telling must not be what fails next.
            pass

    def _tell(self):
        try:
            from ...rare.link_words import words

            self.log("warn", words(self.why))
        finally:
            release()

    def _forget(self):
        if self._dialer:
            self._dialer.close()
            self._dialer = None
        shut(self._socket)
        if self._session:
            self.bad += self._session.bad
            self.dropped += self._session.dropped
        self._socket = self._session = None
        self._up_ms = 0


def _dialer(*arguments):
    # Its code is needed until there is a session, and goes with it.
    try:
        from ...rare.dial import Dialer

        return Dialer(*arguments)
    finally:
        release()


def _nobody(*words):
    pass


def _code(error):
    if isinstance(error, BrokerError):
        return str(error)
    if isinstance(error, OSError) and error.args:
        return "os %s" % error.args[0]
    return ("%s %s" % (type(error).__name__, error))[:60]
