"""`./run new-agent`: the dialogue on a real terminal, the same by options, and what is refused."""

import fcntl
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time

import pytest

from host.devices import answers
from host.devices.agent_file import load
from host.devices.boards import load_board
from host.devices.errors import SettingsError
from host.devices.new_agent import DEFAULT_LIMITS, main, next_name

COMMAND = [sys.executable, "-m", "host.devices.new_agent"]
TIMEOUT_S = 60


class Terminal:
    """The verb behind a pty, as somebody who types sees it."""

    def __init__(self, *words):
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, words)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # Ctrl-C reaches only who has the terminal as its own.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self._bytes = b""
        self._read = 0

    @property
    def seen(self):
        return self._bytes.decode(errors="replace").replace("\r\n", "\n")

    def expect(self, words):
        """Waits until `words` appear behind what was expected before."""
        deadline = time.monotonic() + TIMEOUT_S
        while words not in self.seen[self._read :]:
            assert time.monotonic() < deadline, f"no {words!r} in {self.seen[self._read :]!r}"
            if not self._more(0.1) and self.process.poll() is not None and not self._more(0):
                raise AssertionError(f"ended without {words!r}: {self.seen[self._read :]!r}")
        self._read = self.seen.index(words, self._read) + len(words)

    def type(self, text):
        os.write(self._master, text.encode())

    def end(self):
        code = self.process.wait(TIMEOUT_S)
        while self._more(0):
            pass
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _more(self, seconds):
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._master, 4096)
        except OSError:
            return False
        self._bytes += data
        return bool(data)


@pytest.fixture
def terminal():
    opened = []

    def start(*words):
        opened.append(Terminal(*words))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_enter_five_times_gives_the_default(terminal, tmp_path):
    path = tmp_path / "a.toml"
    t = terminal("--out", path, "--name", "cellar")
    for question in (
        "1/5 board [esp32]: ",
        "2/5 sensors [case=ds18b20:4 ambient=ntc:34 power=ina219:21,22 fan=tach:27]: ",
        "3/5 output [26 nc high]: ",
        "4/5 limits [45 55]: ",
        "5/5 link [serial]: ",
    ):
        t.expect(question)
        t.type("\n")
    t.expect(f"./run flash --agent {path}")
    assert t.end() == 0
    agent = load(path)
    expected = load_board("esp32").device_config(device="cellar", **DEFAULT_LIMITS)
    assert agent.config == expected
    assert [folder.name for folder in agent.bundles] == ["cooling", "anomaly"]


def test_refusals_are_told_at_once_and_the_question_comes_again(terminal, tmp_path):
    path = tmp_path / "a.toml"
    t = terminal("--out", path)
    dialogue = [
        ("1/5", "esp23", "no: there is no board 'esp23', did you mean 'esp32'"),
        ("1/5", "lilygo-relay", ""),
        (
            "2/5",
            "ambient=ntc:18",
            "no: sensors.ambient.pin: pin 18 is taken on this board by a relay",
        ),
        ("2/5", "ambient=ntc:13", "no: sensors.ambient.pin: pin 13 is on ADC2, which does not"),
        ("2/5", "ambient=ntc:33 power=none", ""),
        ("3/5", "5", "no: relay.pin: pin 5 is a strapping pin"),
        ("3/5", "33", "no: sensors.ambient.pin: pin 33 is relay.pin"),
        ("3/5", "19 sideways", "no: output: 'sideways', e.g. '26 nc high' is needed"),
        ("3/5", "19 low", ""),
        ("4/5", "warm", "no: limits: 'warm', e.g. '45 55' is needed"),
        ("4/5", "60", "no: trip_mc is 55000, at least limit_mc + 1000 is needed"),
        ("4/5", "40.5 60", ""),
        ("5/5", "mqtt", "no: wifi.ssid: missing, a text of 1 to 32 bytes is needed"),
        ("5/5", "mqtt ssid=b host=8.8.8.8", "no: mqtt.host: 8.8.8.8 is not in a private network"),
        ("5/5", "", ""),
    ]
    for question, answer, refusal in dialogue:
        t.expect(question)
        t.expect("]: ")
        t.type(answer + "\n")
        if refusal:
            t.expect(refusal)
    t.expect("cooling is left out: it needs the sensor power")
    assert t.end() == 0
    agent = load(path)
    assert agent.config["relay"] == {"pin": 19, "contact": "nc", "active": "low"}
    assert set(agent.config["sensors"]) == {"case", "ambient", "fan"}
    assert (agent.config["limit_mc"], agent.config["trip_mc"]) == (40500, 60000)
    assert agent.config["device"] == "lilygo-relay-1"
    assert agent.bundles == ()


def test_a_sensor_on_the_relays_pin_moves_the_relay(terminal, tmp_path):
    t = terminal("--out", tmp_path / "a.toml", "--board", "esp32", "--sensors", "fan=tach:26")
    t.expect("Output: ")
    t.expect("3/5 output [13 nc high]: ")
    assert "Boards: " not in t.seen
    assert "Sensors " not in t.seen


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [
        ("\x04", 1, "the questions were not answered: nothing is written"),
        ("\x03", 130, "stopped"),
    ],
)
def test_leaving_in_the_middle_writes_nothing(terminal, tmp_path, key, code, words):
    t = terminal("--out", tmp_path / "a.toml")
    t.expect("1/5 board [esp32]: ")
    t.type("\n")
    t.expect("2/5")
    t.expect("]: ")
    t.type(key)
    t.expect(words)
    assert t.end() == code
    assert list(tmp_path.iterdir()) == []


def test_ten_refusals_are_enough(terminal, tmp_path):
    t = terminal("--out", tmp_path / "a.toml")
    t.type("nonsense\n" * 10)
    t.expect("board: no answer that can be used")
    assert t.end() == 3


def run(capsys, *words):
    code = main([*map(str, words)])
    return code, capsys.readouterr()


def test_by_options_alone(tmp_path, capsys):
    path = tmp_path / "a.toml"
    words = ["--board", "esp32-c3", "--sensors", "fan=none", "--output", "0", "--limits", "50 60"]
    code, said = run(capsys, *words, "--link", "serial", "--out", path, "--site", "farm", "--json")
    assert code == 0
    events = [json.loads(line) for line in said.out.splitlines()]
    assert events[-1]["event"] == "done"
    assert events[-1]["left_out"] == [event["text"] for event in events[:2]]
    agent = load(path)
    assert agent.config == events[-1]["config"]
    assert (agent.board.name, agent.config["site"]) == ("esp32-c3", "farm")


@pytest.mark.parametrize("bundle", ["training/bundles/cooling", "none"])
def test_bundles_by_hand(tmp_path, capsys, bundle):
    code, _ = run(capsys, "--yes", "--bundle", bundle, "--out", tmp_path / "a.toml")
    assert code == 0
    names = [folder.name for folder in load(tmp_path / "a.toml").bundles]
    assert names == ([] if bundle == "none" else ["cooling"])


@pytest.mark.parametrize(
    ("words", "problems"),
    [
        (["--board", "esp23", "--yes"], ["did you mean 'esp32'"]),
        (["--yes", "--name", "Cellar!"], ["name: 'Cellar!', 1 to 32 characters of a-z 0-9 _ -"]),
        (["--yes", "--site", "A"], ["site: 'A', 1 to 32 characters of a-z 0-9 _ -"]),
        (
            ["--yes", "--sensors", "case=none fan=tach fan=ntc:3 power=ina219:21,x light"],
            [
                "sensors.fan: tach needs its pin",
                "sensors.fan: 'ntc', tach is needed",
                "sensors.power: ina219 needs its sda and scl",
                "sensors: 'light', e.g. fan=tach:27",
                "sensors: case is needed",
            ],
        ),
        (
            ["--yes", "--sensors", "fan=tach:12", "--output", "2", "--limits", "90", "--link", "x"],
            [
                "sensors.fan.pin: pin 12 is a strapping pin",
                "relay.pin: pin 2 is a strapping pin",
                "trip_mc is 55000, at least limit_mc + 1000",
                "link: 'x', serial or 'mqtt ssid=NAME host=NAME' is needed",
            ],
        ),
        (
            ["--yes", "--bundle", "/nowhere", "--bundle", "training/bundles/cooling"],
            ["nowhere is left out: it cannot be read"],
        ),
        (
            ["--board", "esp32", "--link", "serial"],
            ["stdin is no terminal, so nothing is asked: name --sensors, --output, --limits, or"],
        ),
    ],
)
def test_what_is_refused(tmp_path, capsys, words, problems):
    code, said = run(capsys, *words, "--out", tmp_path / "a.toml")
    assert code == 3
    lines = said.err.splitlines()
    assert len(lines) == len(problems), lines
    for line, problem in zip(lines, problems, strict=True):
        assert line.startswith("error: ")
        assert problem in line
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_kept_unless_forced(tmp_path, capsys):
    path = tmp_path / "a.toml"
    path.write_text("mine")
    code, said = run(capsys, "--yes", "--out", path)
    assert (code, path.read_text()) == (3, "mine")
    assert "is there already: choose another --name, or say --force" in said.err
    assert run(capsys, "--yes", "--out", path, "--force")[0] == 0
    assert load(path).board.name == "esp32"


def test_a_fan_on_the_other_contact_is_warned_of(tmp_path, capsys):
    code, said = run(capsys, "--yes", "--output", "no", "--out", tmp_path / "a.toml")
    assert code == 0
    assert "a dead board is a fan that stands still" in said.err


def test_the_next_free_name(tmp_path):
    board = load_board("esp32")
    assert next_name(board, tmp_path) == "esp32-1"
    (tmp_path / "esp32-1.toml").write_text("")
    assert next_name(board, tmp_path) == "esp32-2"


@pytest.mark.parametrize("name", ["esp32", "esp32-c3", "lilygo-relay"])
def test_answers_read_back_what_they_offer(name):
    board = load_board(name)
    assert answers.sensors(answers.sensors_text(board.sensors), {}) == board.sensors
    assert answers.output(answers.output_text(board.relay), {}) == board.relay
    assert answers.limits(answers.limits_text(DEFAULT_LIMITS), {}) == DEFAULT_LIMITS


def test_a_sensor_that_moves_keeps_its_other_members():
    default = {"case": {"driver": "ds18b20", "pin": 4}}
    default["power"] = {"driver": "ina219", "sda": 1, "scl": 2, "shunt_mohm": 50}
    found = answers.sensors("power=ina219:8,9 case=ntc:5", default)
    assert found["power"] == {"driver": "ina219", "sda": 8, "scl": 9, "shunt_mohm": 50}
    assert found["case"] == {"driver": "ntc", "pin": 5}
    assert default["power"]["sda"] == 1


@pytest.mark.parametrize("text", ["", "45 55 65", "-3", "45,5", "1e3", "inf"])
def test_limits_that_are_refused(text):
    with pytest.raises(SettingsError, match=r"e\.g\. '45 55' is needed"):
        answers.limits(text, DEFAULT_LIMITS)
