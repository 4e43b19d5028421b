"""The settings of a board's link: what is refused, in which words; what codes mean."""

import pytest

from agent.config import Config, ConfigError
from agent.rare.addresses import is_address, is_private
from agent.rare.link_words import words
from host.devices.boards import load_board

WIFI = {"ssid": "barn"}
MQTT = {"host": "192.168.1.10"}
PLAIN = load_board("esp32").device_config(device="b1")
OUT = "is not in a private network, where passwords would go in clear; set mqtt.tls, or mqtt"


def problems(**changes):
    given = {"link": "mqtt", "wifi": WIFI, "mqtt": MQTT, **changes}
    raw = {**PLAIN, **{key: value for key, value in given.items() if value is not ...}}
    try:
        Config(raw)
    except ConfigError as error:
        return error.problems
    return []


def test_what_is_not_said():
    config = Config({**PLAIN, "link": "mqtt", "wifi": WIFI, "mqtt": MQTT})
    assert (config.link, config.wifi) == ("mqtt", {"ssid": "barn"})
    assert config.mqtt == {
        "host": "192.168.1.10", "port": 1883, "tls": False, "user": "", "keepalive_s": 30,
        "in_clear": False, "ntp": "pool.ntp.org",
    }  # fmt: skip
    tls = Config({**PLAIN, "link": "mqtt", "wifi": WIFI, "mqtt": {**MQTT, "tls": True}})
    assert tls.mqtt["port"] == 8883


@pytest.mark.parametrize(
    "raw", [{}, {"link": "serial"}, {"link": "serial", "mqtt": MQTT, "wifi": WIFI}]
)
def test_a_serial_board_has_neither(raw):
    config = Config({**PLAIN, **raw})
    assert (config.link, config.wifi, config.mqtt) == ("serial", None, None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"link": "lora"}, ["link: 'lora', serial or mqtt is needed"]),
        ({"link": []}, ["link: [], serial or mqtt is needed"]),
        ({"wifi": ...}, ["wifi: {ssid, ...} is needed"]),
        ({"mqtt": 7}, ["mqtt: {host, ...} is needed"]),
        ({"link": "serial", "mqtt": 7}, ["mqtt: {host, ...} is needed"]),
        ({"wifi": {}}, ["wifi.ssid: missing, a text of 1 to 32 bytes is needed"]),
        (
            {"wifi": {"ssid": "ü" * 17}},
            [f"wifi.ssid: '{'ü' * 17}', a text of 1 to 32 bytes is needed"],
        ),
        ({"wifi": {"ssid": "a\0b"}}, ["wifi.ssid: 'a\\x00b', a text of 1 to 32 bytes is needed"]),
        ({"wifi": {"ssid": "a", "key": 1}}, ["wifi.key: there is no such setting"]),
        (
            {"mqtt": {"host": 5, "port": 0, "tls": 1, "keepalive_s": 5, "x": 1}},
            [
                "mqtt.host: 5, a text of 1 to 64 bytes is needed",
                "mqtt.port: 0, a number from 1 to 65535 is needed",
                "mqtt.tls: 1, true or false is needed",
                "mqtt.keepalive_s: 5, a number from 10 to 600 is needed",
                "mqtt.x: there is no such setting",
            ],
        ),
        ({"mqtt": {"host": "a b"}}, ["mqtt.host: 'a b' is no name and no IPv4 address"]),
        ({"mqtt": {"host": "a..b"}}, ["mqtt.host: 'a..b' is no name and no IPv4 address"]),
        ({"mqtt": {"host": "x" * 64}}, [f"mqtt.host: '{'x' * 64}' is no name and no IPv4 address"]),
        ({"mqtt": {"host": "h", "ntp": "."}}, ["mqtt.ntp: '.' is no name and no IPv4 address"]),
    ],
)
def test_every_problem_is_named(changes, expected):
    assert problems(**changes) == expected


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("172.32.0.1", False),
        ("192.168.255.1", True),
        ("169.254.1.1", True),
        ("127.0.0.1", True),
        ("8.8.8.8", False),
        ("100.64.0.1", False),
        ("broker", True),
        ("broker.local", True),
        ("Broker.LAN", True),
        ("broker.home.arpa", True),
        ("broker.example.com", False),
        ("local.example.com", False),
        ("192.168.1.example.com", False),
    ],
)
def test_in_clear_only_at_home(host, near):
    found = problems(mqtt={"host": host})
    assert found == [] if near else [OUT in each for each in found] == [True]
    assert problems(mqtt={"host": host, "tls": True}) == []
    assert problems(mqtt={"host": host, "in_clear": True}) == []


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.x", "1.2.3.", "1.2.3.0004"]
)
def test_what_is_no_address(text):
    assert not is_address(text)


def test_addresses():
    assert is_address("255.0.255.0")
    assert is_private("192.168.0.1")
    assert not is_private("192.169.0.1")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("connack 4", "broker: user or password is wrong"),
        ("connack 77", "broker: it refuses the board, code 77"),
        ("connack x", "broker: it refuses the board, code x"),
        ("wifi 201", "wifi: no network of that name is heard"),
        ("wifi 39", "wifi: joining failed, reason 39"),
        ("wifi lost", "wifi: the network was lost"),
        ("os 111", "broker: nothing listens on its port"),
        ("os 5", "broker: error 5"),
        ("garbage", "broker: what it sends is no MQTT 3.1.1"),
        ("ValueError x", "broker: ValueError x"),
        ("", "broker: "),
    ],
)
def test_words(code, text):
    assert words(code) == text
