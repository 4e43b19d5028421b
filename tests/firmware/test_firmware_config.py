"""Settings: what is refused, in which words, all at once."""

import copy
import json

import pytest

from agent.config import ConfigError, fallback, load
from host.devices.boards import load_board

GOOD = load_board("esp32").device_config(device="esp32-1")


def changed(**members):
    raw = copy.deepcopy(GOOD)
    for path, value in members.items():
        *parents, key = path.split("__")
        target = raw
        for parent in parents:
            target = target[parent]
        if value is ...:
            del target[key]
        else:
            target[key] = value
    return raw


@pytest.fixture
def flash(tmp_path):
    path = tmp_path / "config.json"

    def write(raw):
        path.write_text(raw if isinstance(raw, str) else json.dumps(raw))
        return str(path)

    return write


def test_the_default_is_good(flash):
    config = load(flash(GOOD))
    assert (config.device, config.limit_mc, config.period_ms) == ("esp32-1", 45000, 1000)
    assert config.relay == {"pin": 26, "contact": "nc", "active": "high"}
    assert config.sensors["ambient"]["beta_k"] == 3950
    assert (config.limit_low_mc, config.limit_high_mc) == (20000, 54000)


@pytest.mark.parametrize(
    ("members", "problems"),
    [
        ({"device": "A b"}, ["device: 'A b' has other characters than a-z 0-9 _ -"]),
        ({"site": ...}, ["site: a name of 1 to 32 characters is needed"]),
        ({"limit_mc": "45"}, ["limit_mc: '45', a number from 20000 to 90000 is needed"]),
        ({"limit_mc": True}, ["limit_mc: True, a number from 20000 to 90000 is needed"]),
        ({"limit_mc": 54500}, ["trip_mc is 55000, at least limit_mc + 1000 is needed"]),
        ({"wdt_ms": 5000, "period_ms": 2000}, ["wdt_ms is 5000, at least 3 * period_ms is needed"]),
        ({"limitmc": 1}, ["limitmc: there is no such setting"]),
        ({"relay": ...}, ["relay: {pin, contact, active} is needed"]),
        ({"relay__pin": ...}, ["relay.pin: missing, a number from 0 to 48 is needed"]),
        ({"relay__contact": "x"}, ["relay.contact: 'x', nc or no is needed"]),
        ({"relay__coil": 1}, ["relay.coil: there is no such setting"]),
        ({"sensors": ...}, ["sensors: {case: {driver, ...}, ...} is needed"]),
        ({"sensors__case": ...}, ["sensors: {case: {driver, ...}, ...} is needed"]),
        (
            {"sensors__case__driver": "lm75"},
            ["sensors.case.driver: 'lm75', ds18b20 or ntc is needed"],
        ),
        ({"sensors__case": 5}, ["sensors.case.driver: None, ds18b20 or ntc is needed"]),
        ({"sensors__fan__pin": 26}, ["sensors.fan.pin: pin 26 is relay.pin"]),
        ({"sensors__power__addr": 1}, ["sensors.power.addr: 1, a number from 64 to 79 is needed"]),
        ({"sensors__power__x": 1}, ["sensors.power.x: there is no such setting"]),
        ({"sensors__door": {}}, ["sensors.door: there is no such sensor"]),
        (
            {"device": "", "limit_mc": 1, "relay__active": "", "sensors__case__pin": -1},
            [
                "device: a name of 1 to 32 characters is needed",
                "limit_mc: 1, a number from 20000 to 90000 is needed",
                "relay.active: '', high or low is needed",
                "sensors.case.pin: -1, a number from 0 to 48 is needed",
            ],
        ),
    ],
)
def test_every_problem_is_named(flash, members, problems):
    with pytest.raises(ConfigError) as caught:
        load(flash(changed(**members)))
    assert caught.value.problems == problems


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", '{"device"'])
def test_files_that_are_no_settings(flash, text):
    with pytest.raises(ConfigError):
        load(flash(text))
    config = fallback(flash(text))
    assert (config.device, config.relay, config.sensors) == ("unconfigured", {}, {})


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(str(tmp_path / "none"))


def test_the_fallback_keeps_what_is_whole(flash):
    config = fallback(flash(changed(limit_mc=1)))
    assert (config.device, config.relay["pin"], config.limit_mc) == ("esp32-1", 26, 45000)
    assert config.sensors == {}
