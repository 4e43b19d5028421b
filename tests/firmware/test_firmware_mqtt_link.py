"""Wi-Fi and the whole link against stations and sockets that do as they are told."""

import pytest
from mqtt_parts import CONNACK, SUBACK, Wire, down

from agent.communication import frames
from agent.communication.mqtt import link as module
from agent.communication.mqtt import packets
from agent.communication.mqtt.link import MqttLink
from agent.communication.mqtt.packets import BrokerError
from agent.communication.mqtt.wifi import JOIN_MS, Wifi


class Station:
    """network.WLAN. `answers`: what status() says when it is asked to join."""

    def __init__(self, interface=0):
        self.answers = 1010
        self.joined = False
        self.calls = []
        self.raises = None

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self.calls.append((name, *args))
            if self.raises:
                raise self.raises

        return call

    def isconnected(self):
        return self.joined

    def status(self, what=None):
        return -55 if what else self.answers

    def connect(self, ssid, key):
        if self.raises:
            raise self.raises
        self.calls.append(("connect", ssid, key))
        self.joined = self.answers == 1010

    def ifconfig(self):
        return ("192.168.1.5", "255.255.255.0", "192.168.1.1", "192.168.1.1")


def test_joining_losing_and_joining_again():
    station = Station()
    wifi = Wifi(lambda _: station, "barn", "secret")
    assert [wifi.tend(ms) for ms in range(0, 3000, 1000)] == [False, False, True]
    assert station.calls == [("active", True), ("config",), ("connect", "barn", "secret")]
    assert (wifi.state, wifi.rssi()) == ("up", -55)
    station.joined = False
    station.answers = 200
    with pytest.raises(BrokerError, match="wifi lost"):
        wifi.tend(3000)
    assert (wifi.state, wifi.rssi()) == ("down", None)
    tries = []
    for ms in range(4000, 300_000, 1000):
        try:
            assert not wifi.tend(ms)
        except BrokerError as error:
            tries.append(str(error))
    assert set(tries) == {"wifi 200"}
    assert 6 <= len(tries) <= 14
    station.answers = 1010
    assert any(wifi.tend(ms) for ms in range(300_000, 365_000, 1000))


def test_joining_that_takes_for_ever_and_a_driver_that_raises():
    station = Station()
    station.answers = 1001
    wifi = Wifi(lambda _: station, "barn", None)
    wifi.tend(0)
    wifi.tend(1000)
    assert not wifi.tend(1000 + JOIN_MS - 1)
    with pytest.raises(BrokerError, match="wifi 1001"):
        wifi.tend(1000 + JOIN_MS)
    assert station.calls[-1] == ("disconnect",)
    station.raises = OSError("Wifi Internal Error")
    with pytest.raises(OSError, match="Internal"):
        [wifi.tend(ms) for ms in range(30_000, 100_000, 1000)]
    assert wifi.state == "down"

    def broken(_):
        raise OSError("WiFi Out of Memory")

    wifi = Wifi(broken, "barn", None)
    with pytest.raises(OSError, match="Memory"):
        wifi.tend(0)
    assert wifi.state == "off"
    assert not wifi.tend(100)


class Console:
    text_bytes = 0

    def __init__(self):
        self.incoming, self.lines = [], []

    def read(self, now_ms):
        found, self.incoming = self.incoming, []
        return found

    def write(self, line):
        self.lines.append(line)


class Config:
    site, device = "home", "b1"
    wifi = {"ssid": "barn"}
    mqtt = {
        "host": "192.168.1.9",
        "port": 1883,
        "tls": False,
        "user": "b1",
        "keepalive_s": 30,
        "in_clear": False,
        "ntp": "x",
    }


class Dialer:
    """Comes to a link's wire at once."""

    state = "connecting"

    def __init__(self, link):
        self._link = link

    def step(self, server, now_ms):
        return self._link.wire

    def close(self):
        pass


@pytest.fixture
def link(monkeypatch):
    """A link whose dialling gives `link.wire`; `link.said` and `link.greeted` are what it told."""
    one = MqttLink(Console(), Config, {"wifi": "w", "mqtt": "p"}, lambda _: one.station)
    one.station, one.wire = Station(), Wire()
    one.said, one.greeted = [], []
    one.log = lambda level, text: one.said.append(text)
    one.came_up = lambda: one.greeted.append(1)
    one.dialer = Dialer(one)
    monkeypatch.setattr(module, "_dialer", lambda *words: one.dialer)
    return one


def begin(link, now_ms=0):
    for ms in range(now_ms, now_ms + 4000, 1000):
        link.tend(ms)
    link.wire.incoming += CONNACK + SUBACK
    link.read(now_ms + 4000)


def test_the_console_and_the_broker_side_by_side(link):
    link.write(b"early\n")
    begin(link)
    assert (link.greeted, link.said) == ([1], ["broker: connected"])
    link._console.incoming = [{"t": "ack", "acks": []}, {"t": "cmd"}, {"t": "clock"}]
    assert [frame["t"] for frame in link.read(4100)] == ["cmd", "clock"]
    assert not link.connected(4100)  # only who is behind the broker counts
    link.wire.incoming = down(frames.encode({"t": "ack", "acks": [[1, 1]]}))
    assert [frame["t"] for frame in link.read(4200)] == ["ack"]
    assert link.connected(4200 + 29_999)
    assert not link.connected(4200 + 30_000)
    link.write(b"late\n")
    link.read(4300)
    assert link.wire.sent.endswith(b"late\n")
    assert b"early" not in link.wire.sent
    assert link._console.lines == [b"early\n", b"late\n"]
    assert link.report(4300) == {
        "wifi": "up", "rssi": -55, "broker": "up",
        "up": 1, "fail": 0, "bad": 0, "drop": 0, "why": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "why", "words"),
    [
        (BrokerError("connack 5"), "connack 5", "broker: the user may not connect"),
        (BrokerError("wifi 202"), "wifi 202", "wifi: the password is not accepted"),
        (OSError(111), "os 111", "broker: nothing listens on its port"),
        (ValueError("x" * 200), "ValueError " + "x" * 49, None),
        (MemoryError(), "MemoryError ", None),
    ],
)
def test_no_error_leaves_it(link, error, why, words):
    begin(link)

    def fails(now_ms):
        raise error

    link._session.look = fails
    assert link.read(5000) == []
    assert (link.why, link.failures) == (why, 1)
    if words:
        assert link.said[-1] == words
    assert link.wire.closed
    assert link.report(5000)["broker"] == "waiting"
    link.wire = Wire()
    begin(link, 10_000)
    assert link.report(14_000)["up"] == 2


def test_the_same_trouble_is_told_once(link):
    link.station.answers = 201
    for ms in range(0, 600_000, 1000):
        link.tend(ms)
    assert link.failures > 5
    assert link.said == ["wifi: no network of that name is heard"]


def test_telling_that_fails_is_no_error_either(link):
    def cannot(*words):
        raise MemoryError

    link.log = cannot
    link.station.answers = 201
    for ms in range(0, 60_000, 1000):
        link.tend(ms)
    assert link.why == "wifi 201"


def test_a_session_after_a_good_minute_ends_the_long_pauses(link):
    def refuse(server, now_ms):
        raise BrokerError("unreachable")

    good = link.dialer.step
    link.dialer.step = refuse
    for ms in range(0, 300_000, 1000):
        link.tend(ms)
    link.dialer.step = good
    link._pause._until_ms = 0
    begin(link, 300_000)
    for ms in range(305_000, 370_000, 1000):
        link.tend(ms)
    link.wire.closed = True
    link.read(371_000)
    assert link._pause.over(373_000)


def test_a_clean_end_and_one_that_cannot_be(link):
    begin(link)
    wire = link.wire
    link.close()
    assert wire.sent.endswith(b"offline" + packets.DISCONNECT)
    assert wire.closed
    link.close()
    link.write(b"x\n")
    assert link.read(5000) == []
