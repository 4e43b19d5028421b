"""The doctor's judgement, on texts and frames as boards send them. No I/O."""

import pytest
from boot_texts import BANNER, C3, IDF, LOADED, POWER_ON, STARTS, TRACEBACK
from hypothesis import given
from hypothesis import strategies as st

from agent.version import VERSION
from host.bridge.validate import VOLATILE
from host.devices.doctoring import usb
from host.devices.doctoring.boot_text import cause
from host.devices.doctoring.broker import Address, address
from host.devices.doctoring.classify import Expected, Facts, classify
from host.devices.doctoring.finding import State

NOW_S = 1_795_000_000
MODELS = {"cooling": "cooling@2", "anomaly": "anomaly@2"}
FACTS = Facts(listened_s=3, fw=VERSION, expected=Expected(MODELS), hello_at_s=NOW_S + 0.4)
STRICT = Expected(MODELS, "cellar.toml", True, "esp32", "esp32", "cellar", 45000, "5e70f1")


def wrong(found):
    return [(f.what, f.detail) for f in found if f.state is State.WRONG]


def states(found):
    return {f.what: f.state.value for f in found}


@pytest.mark.parametrize(("text", "what", "words"), STARTS)
def test_starts(text, what, words):
    found = classify(text, [], FACTS)
    ((found_what, detail),) = wrong(found)
    assert found_what == what
    assert words in detail
    assert all(f.next_step for f in found if f.state is State.WRONG)


@pytest.mark.parametrize(("text", "what", "words"), STARTS)
def test_a_loop_is_recognised_wherever_listening_begins(text, what, words):
    found = wrong(classify((text * 3)[len(text) // 3 :], [], FACTS))
    assert found[0][0] == what


CAUSES = [
    ("POWERON_RESET", "power-on"), ("POWERON", "power-on"), ("SW_RESET", "by software"),
    ("SW_CPU_RESET", "by software"), ("RTC_SW_SYS_RST", "by software"), ("SW_SYS", "by software"),
    ("TG0WDT_SYS_RESET", "watchdog"), ("TG0_WDT_HPSYS", "watchdog"), ("RTCWDT_RTC_RST", "watchdog"),
    ("RTC_WDT_SYS", "watchdog"), ("TG1WDT_SYS_RST", "watchdog"), ("SUPER_WDT_RESET", "watchdog"),
    ("RTCWDT_BROWN_OUT_RESET", "brownout"), ("DEEPSLEEP_RESET", "waking"), ("DSLEEP", "waking"),
    ("USB_UART_CHIP_RESET", "USB"), ("EFUSE_RST", "outside"), ("SOMETHING", "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "words"), CAUSES)
def test_reset_causes(name, words):
    assert words in cause(name)


# What a board without an agent says: what is wrong, words of it.
WITHOUT = [
    ("", {}, "silence", "nothing comes"),
    (BANNER, {"files": ["boot.py"]}, "agent", "MicroPython alone"),
    (BANNER, {"files": []}, "agent", "MicroPython alone"),
    (BANNER, {"files": ["main.py"]}, "agent", "another program's main.py"),
    (BANNER, {"files": ["agent", "boot.py", "main.py"]}, "agent", "was stopped"),
    (
        "fanwise: stopped, the fan runs; machine.reset()\r\n>>> ",
        {},
        "agent",
        "stopped",
    ),
    (">>> ", {}, "agent", "at its REPL"),
    (BANNER.replace("1.26.1", "1.19.1"), {"files": []}, "MicroPython", "1.24 or newer"),
    (POWER_ON + LOADED + IDF, {}, "firmware", "not MicroPython (blink)"),
    ("busy 25\r\nbusy 50\r\nbusy 75\r\n", {}, "program", "'busy 75'"),
    ("\ufffd\x00\x1c\ufffdx\x82" * 20, {}, "line", "no text"),
    (TRACEBACK + BANNER, {"files": ["main.py", "agent"]}, "program", "ImportError"),
]


@pytest.mark.parametrize(("text", "facts", "what", "words"), WITHOUT)
def test_without_frames(text, facts, what, words):
    found = wrong(classify(text, [], Facts(3, VERSION, **facts)))
    assert found[0][0] == what
    assert words in found[0][1]


def test_a_start_while_looked_at_is_told_unless_it_was_asked_for():
    assert states(classify(POWER_ON + LOADED + BANNER, [], FACTS))["start"] == "--"
    asked = Facts(3, VERSION, restarted=True)
    assert "start" not in states(classify(POWER_ON + LOADED + BANNER, [], asked))


@pytest.mark.parametrize(("expected", "state"), [("esp32c3", "ok"), ("esp32", "!!"), ("", "ok")])
def test_the_chip(expected, state):
    text = C3 + "rst:0x1 (POWERON),boot:0xc (SPI_FAST_FLASH_BOOT)\r\n"
    facts = Facts(3, VERSION, Expected(chip=expected, board="x"))
    assert states(classify(text, [], facts))["chip"] == state


def head(kind, seq=1):
    return {"t": kind, "boot": 7, "seq": seq, "ms": 100 * seq}


def hello(**members):
    return {
        **head("hello"), "at": NOW_S, "dev": "cellar", "site": "home", "fw": VERSION,
        "board": "esp32", "cause": "power_on", "models": MODELS,
        "feat": ["case", "ambient", "power", "fan", "forecast", "anomaly"], "free": 40000,
        "limit_mc": 45000, "safe": False, "queued": 0, "dropped": 0, "set": "5e70f1", **members,
    }  # fmt: skip


def link(**members):
    usual = {"wifi": "up", "rssi": -61, "broker": "up", "up": 1, "fail": 0, "bad": 0, "drop": 0}
    return {**usual, "why": "", **members}


def tel(**members):
    return {
        **head("tel", 2), "ms": 9000, "case_mc": 41000, "ambient_mc": 22000, "power_mw": 5000,
        "fan_rpm": 0, "fan": 0, "ov": 0, "rule": "forecast", **members,
    }  # fmt: skip


def log(msg):
    return {**head("log", 3), "lvl": "error", "msg": msg}


def alarm(seq, on, kind="fan"):
    return {**head("alarm", seq), "kind": kind, "on": on, "why": "Fan fault because it stands"}


def test_a_board_that_is_well():
    found = classify("", [hello(), tel()], Facts(3, VERSION, STRICT, hello_at_s=NOW_S))
    assert wrong(found) == []
    assert states(found) == {
        "agent": "ok", "files": "ok", "cooling model": "ok", "anomaly model": "ok", "clock": "ok",
        "sensors": "ok", "memory": "ok", "Wi-Fi": "--",
    }  # fmt: skip


# What an agent says: the line it makes, its state, words of it.
TOLD = [
    ([tel()], "agent", "!!", "does not answer who it is"),
    ([hello(fw="0.0.9")], "firmware", "!!", f"0.0.9 on the board, {VERSION} here"),
    ([hello(safe=True, models={}), log("limit_mc: 7, a number from 20000 to 90000 is needed")],
     "safe mode", "!!", "settings are refused"),
    ([hello(safe=True, models={}), log("limit_mc: 7, a number from 20000 to 90000 is needed")],
     "settings", "!!", "limit_mc: 7"),
    ([hello(safe=True, models={})], "safe mode", "!!", "three starts in a row"),
    ([hello(models={}), log("cooling model refused: its checksum is wrong")], "model", "!!",
     "checksum"),
    ([hello(), log("loop: ValueError: x")], "error", "!!", "ValueError"),
    ([hello(cause="watchdog")], "last start", "--", "watchdog"),
    ([hello(models={"cooling": "cooling@1", "anomaly": "anomaly@2"})], "cooling model", "!!",
     "cooling@1 on the board, cooling@2 in cellar.toml"),
    ([hello(models={"cooling": "cooling@2"})], "anomaly model", "!!", "none on the board"),
    ([hello(board="esp32-s3")], "board", "!!", "for esp32-s3, not esp32"),
    ([hello(dev="attic")], "device", "!!", "this is attic, not cellar"),
    ([hello(limit_mc=40000)], "limit", "--", "40000, 45000 in cellar.toml"),
    ([hello(set="0dd5e7")], "files", "!!", "0dd5e7 on the board, 5e70f1 from cellar.toml"),
    ([hello(set=None)], "files", "--", "not put there by deploy"),
    ([hello(failed="3f2a")], "deploy", "!!", "the set 3f2a did not start"),
    ([hello(at=NOW_S - 7200)], "clock", "!!", "7200 s behind"),
    ([hello(at=NOW_S + 60)], "clock", "!!", "60 s ahead"),
    ([hello(at=None)], "clock", "--", "not told"),
    ([hello(), tel(power_mw=None)], "sensor power", "!!", "no reading"),
    ([hello(), tel(power_mw=None, ms=900)], "sensors", "--", "just started"),
    ([hello(feat=["case"]), tel(power_mw=None)], "sensors", "ok", "case read"),
    ([hello()], "telemetry", "--", "none came"),
    ([hello(), tel(ov=90)], "override", "--", "90 s more"),
    ([hello(free=4000)], "memory", "!!", "4000 bytes"),
    ([hello(dropped=3)], "records", "--", "3 records were lost"),
    ([hello(queued=3)], "records", "--", "3 wait"),
    ([hello(), {**head("health", 9), "self_test": {"ok": 0}}], "self-test", "!!", "failed"),
    ([hello(), alarm(4, 1)], "alarm fan", "--", "it stands"),
    ([hello(link=link())], "Wi-Fi", "ok", "joined, -61 dBm"),
    ([hello(link=link())], "board's broker", "ok", "connected for the 1. time"),
    ([hello(link=link(rssi=-90))], "Wi-Fi", "--", "weak, -90 dBm"),
    ([hello(link=link(why="silent"))], "board's broker", "ok", "trouble before: broker: it does"),
    ([hello(link=link(wifi="down", why="wifi 202"))], "Wi-Fi", "!!", "password is not accepted"),
    ([hello(link=link(broker="waiting", why="connack 5"))], "board's broker", "!!", "may not"),
    ([hello(link=link(broker="name"))], "board's broker", "!!", "name: not connected yet"),
    ([hello(), {**head("tel"), "fan": 7}], "frames", "--", "1 malformed"),
]  # fmt: skip


@pytest.mark.parametrize(("frames", "what", "state", "words"), TOLD)
def test_what_frames_tell(frames, what, state, words):
    found = classify("", frames, Facts(3, VERSION, STRICT, hello_at_s=NOW_S))
    (line,) = [f for f in found if f.what == what]
    assert line.state.value == state
    assert words in line.detail


def test_an_alarm_that_was_cleared_is_none():
    # Durable frames are repeated, and come in any order.
    found = classify("", [hello(), alarm(5, 0), alarm(4, 1)], FACTS)
    assert "alarm fan" not in states(found)


def test_without_the_boards_own_file_another_model_is_no_fault():
    found = classify("", [hello(models={"cooling": "mine@1"}), tel()], FACTS)
    assert states(found)["cooling model"] == "--"


def test_damaged_frames_are_counted():
    assert states(classify("#fw1 90 x\n#fw1 7", [hello()], FACTS))["line"] == "--"


def test_our_own_words_echoed_are_not_the_boards():
    echo = {**head("cmd"), "id": "x", "name": "rebirth", "args": {}}
    assert wrong(classify(BANNER, [echo], Facts(3, VERSION, files=[])))[0][0] == "agent"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.sampled_from(VOLATILE), st.dictionaries(st.sampled_from([*hello(), *tel()]), VALUES))
def test_nothing_a_board_says_is_too_odd(kind, members):
    frame = {**hello(), **tel(), **members, "t": kind}
    classify("", [hello(), frame], Facts(3, VERSION, STRICT, hello_at_s=NOW_S))


@given(st.text())
def test_no_text_is_too_odd(text):
    assert classify(text, [], FACTS)


USB = [
    ([], {"USB": "--"}),
    ([("1-1", "1d6b", "0002", "")], {"USB": "--"}),
    ([("1-1", "10c4", "ea60", "ttyUSB0")], {}),
    ([("1-1", "10c4", "ea60", "")], {"driver": "!!"}),
    ([("1-1", "303a", "1001", "tty/ttyACM0"), ("1-2", "1a86", "7523", "")], {"driver": "!!"}),
]


@pytest.mark.parametrize(("devices", "expected"), USB)
def test_usb_devices_without_a_port(tmp_path, devices, expected):
    for name, vid, pid, tty in devices:
        interface = tmp_path / name / f"{name}:1.0"
        (interface / tty).mkdir(parents=True)
        (tmp_path / name / "idVendor").write_text(vid + "\n")
        (tmp_path / name / "idProduct").write_text(pid + "\n")
    assert states(usb.findings(tmp_path)) == expected


def test_no_word_about_usb_where_it_cannot_be_seen(tmp_path):
    assert list(usb.findings(tmp_path / "none")) == []


ADDRESSES = [
    ("mqtt://broker", Address("broker", 1883, None, False)),
    ("mqtts://me@broker:99", Address("broker", 99, "me", True)),
    ("mqtt://[::1]:1883/", Address("::1", 1883, None, False)),
]


@pytest.mark.parametrize(("url", "expected"), ADDRESSES)
def test_addresses(url, expected):
    assert address(url) == expected


@pytest.mark.parametrize("url", ["broker", "http://x", "mqtt://", "mqtt://u:pw@x", "mqtt://x:y"])
def test_what_is_no_address(url):
    with pytest.raises(ValueError, match="--broker") as caught:
        address(url)
    assert "pw" not in str(caught.value).replace("password", "")
