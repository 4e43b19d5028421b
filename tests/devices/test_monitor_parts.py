"""The monitor's pure parts: words, cutting, choosing, typing, plotting, logging."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.communication import frames
from host.devices.errors import DeviceError
from host.devices.monitoring.commands import GRAMMAR, Command, PromptError, complete, parse
from host.devices.monitoring.editor import Editor
from host.devices.monitoring.log_file import RECEIVED, SENT, LogFile, read_log
from host.devices.monitoring.plot import FIELDS, LABEL, Plot
from host.devices.monitoring.stream import Frame, Selection, Stream, kinds
from host.devices.monitoring.words import contributions, frame_line, printable, summary, text_line
from tests.bridge.fake_board import decision

SUMMARIES = [
    ({"t": "tel", "case_mc": 41250, "ambient_mc": None, "fan": 1}, "case 41.2 C  ambient -"),
    ({"t": "dec", **decision()}, "fan ON: Fan on because"),
    ({"t": "dec", "set": 0, "held": "min_off", "why": "x"}, "fan off (held: min_off): x"),
    ({"t": "alarm", "on": 1, "kind": "fan", "why": "x"}, "ALARM fan: x"),
    ({"t": "rsp", "seq": 1, "id": "a", "ok": True}, "id=a  ok=True"),
    ({"t": "tel", "case_mc": "hot", "fan": []}, "case -"),
]


@pytest.mark.parametrize(("frame", "start"), SUMMARIES)
def test_summaries(frame, start):
    assert summary(frame).startswith(start)


def test_no_control_characters_reach_the_terminal():
    assert printable("a\x1b[31m\tb\x07") == "a\\x1b[31m\tb\\x07"
    assert "\x1b" not in frame_line({"t": "\x1b[2J", "boot": "\x1b", "x\x1b": "\x1b"}, 0, False)
    assert "\x9b" not in text_line("\x9b2J".encode(), 0)


def test_contributions_are_largest_first():
    found = contributions({"t": "dec", **decision()})
    assert [name for name, _, _ in found][:2] == ["power_mw", "trend_mk"]
    assert found[0][1:] == (pytest.approx(25210 / 1440 * 47.1), "mK")


BROKEN = [{}, {"phi": 1}, {"phi": {"lsb": 1, "den": 0}}, {"phi": {"lsb": "x", "den": "y"}}]


@pytest.mark.parametrize("record", BROKEN)
def test_a_record_without_contributions(record):
    assert contributions(record) == []


def test_text_around_frames_is_kept_in_order():
    stream = Stream()
    frame = frames.encode({"t": "log", "msg": "hi"})
    found = []
    for byte in b"rst:0x1\r\n>>> " + frame + b"tail\nprompt":
        found += stream.feed(bytes([byte]))
    found += stream.idle()
    shown = [item.kind if isinstance(item, Frame) else item.line for item in found]
    assert shown == [b"rst:0x1\r", b">>> ", "log", b"tail", b"prompt"]


def test_a_line_without_end_fills_no_memory():
    stream = Stream()
    found = [item for _ in range(100) for item in stream.feed(b"x" * 1000)]
    assert 0 < len(b"".join([item.line for item in found])) <= 100_000
    assert max(len(item.line) for item in found) < 6000


SELECTIONS = [
    ([], [], {"tel", "dec", "text"}),
    (["dec,alarm"], [], {"dec"}),
    ([], ["tel"], {"dec", "text"}),
    (["dec", "tel"], ["tel"], {"dec"}),
    (["text"], [], {"text"}),
]


@pytest.mark.parametrize(("only", "without", "shown"), SELECTIONS)
def test_selections(only, without, shown):
    selection = Selection(kinds(only), kinds(without))
    assert {kind for kind in ("tel", "dec", "text") if selection.shows(kind)} == shown


def test_an_unknown_type_is_named_with_what_was_meant():
    with pytest.raises(ValueError, match="'alarms', did you mean alarm"):
        kinds(["dec,alarms"])


COMMANDS = [
    ("override on 10m", Command("override", {"fan": 1, "for_s": 600})),
    ("Override OFF for 1h 30m", Command("override", {"fan": 0, "for_s": 5400})),
    ("override off 90", Command("override", {"fan": 0, "for_s": 90})),
    ("override on 1d", Command("override", {"fan": 1, "for_s": 86400})),
    ("override clear", Command("auto")),
    ("auto", Command("auto")),
    ("  explain   last ", Command("explain")),
    ("explain", Command("explain")),
    ("self-test", Command("self-test")),
    ("self_test", Command("self-test")),
    ("limit 42.5", Command("set_limit", {"limit_mc": 42500})),
    ("limit 42 C", Command("set_limit", {"limit_mc": 42000})),
    ("rebirth", Command("rebirth")),
]
REFUSED = [
    ("", "a command is needed"),
    ("overide on 10m", "did you mean override"),
    ("override", "on, off or clear"),
    ("override on", "for how long"),
    ("override on soon", "no duration"),
    ("override on 1h30", "needs a unit"),
    ("override on 0", "from 1 s to 1 d"),
    ("override on 2d", "from 1 s to 1 d"),
    ("override on 999999999d", "from 1 s to 1 d"),
    ("explain all", "explain last"),
    ("rebirth now", "takes nothing"),
    ("limit", "degrees Celsius"),
    ("limit warm", "degrees Celsius"),
    ("limit 1e9", "degrees Celsius"),
    ("limit nan", "degrees Celsius"),
]


@pytest.mark.parametrize(("text", "command"), COMMANDS)
def test_commands(text, command):
    assert parse(text) == command


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_is_no_command_is_told(text, said):
    with pytest.raises(PromptError, match=said):
        parse(text)


@given(st.text(max_size=60))
def test_any_line_is_a_command_or_refused(text):
    try:
        command = parse(text)
    except PromptError:
        return
    frame = {"t": "cmd", "boot": 0, "seq": 10**9, "ms": 10**12, "at": 2**33, "id": "x" * 8}
    assert len(frames.encode({**frame, "name": command.name, "args": command.args})) < 250


COMPLETIONS = [
    ("ov", ["override"]),
    ("override ", ["on", "off", "clear"]),
    ("override o", ["on", "off"]),
    ("override on 1", ["1m", "10m", "1h"]),
    ("explain l", ["last"]),
    ("nothing ", []),
    ("re", ["rebirth", "reboot"]),
]


LINK = {"wifi": "up", "rssi": -61, "broker": "up", "up": 1, "why": ""}


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (LINK, "link=(wifi up -61 dBm  broker up)"),
        (
            {**LINK, "wifi": "down", "rssi": None, "broker": "waiting", "why": "wifi 201"},
            "link=(wifi down  broker waiting (wifi: no network of that name is heard))",
        ),
        (7, "link=7"),
        ({}, "link=(wifi None  broker None)"),
    ],
)
def test_the_link_of_a_board_in_words(link, words):
    assert words in summary({"t": "health", "free": 3, "link": link})


@pytest.mark.parametrize(("text", "words"), COMPLETIONS)
def test_completions(text, words):
    assert complete(text) == words


def test_everything_offered_can_be_parsed():
    for words in GRAMMAR["override on"]:
        parse(f"override on {words}")
    for word in GRAMMAR[""]:
        parse({"override": "override clear", "limit": "limit 40"}.get(word, word))


KEYS = [
    (b"abc\r", ["abc"], ""),
    (b"abc\x7f\x7fd", [], "ad"),
    (b"bc\x1b[Da\x1b[H>\r", [">bac"], ""),
    (b"one two\x17\x17", [], ""),
    (b"kept\x15new\r", ["new"], ""),
    (b"one\rtwo\r\x1b[A\x1b[A\r", ["one", "two", "one"], ""),
    (b"one\r\x1b[A\x1b[B", ["one"], ""),
    (b"ov\tc\t\r", ["override clear"], ""),
    (b"\x04", [None], ""),
    (b"x\x04", [], "x"),
    ("\u00e9\u20ac".encode(), [], "\u00e9\u20ac"),
    (b"a\x1b[1;5Cb\x1b[99~c\x00\x07", [], "abc"),
]


@pytest.mark.parametrize(("keys", "entered", "text"), KEYS)
@pytest.mark.parametrize("chopped", [False, True])
def test_editing(keys, entered, text, chopped):
    editor = Editor(complete)
    pieces = [keys[i : i + 1] for i in range(len(keys))] if chopped else [keys]
    lines = [line for piece in pieces for line in editor.feed(piece)]
    assert (lines, editor.text) == (entered, text)


def test_tab_offers_what_is_left_open():
    editor = Editor(complete)
    editor.feed(b"re\t")
    assert (editor.text, editor.offered) == ("reb", ["rebirth", "reboot"])


@given(st.binary(max_size=300))
def test_any_keys_leave_a_sound_line(keys):
    editor = Editor(complete)
    editor.feed(keys)
    assert 0 <= editor.cursor <= len(editor.text) <= 120
    assert editor.text.isprintable()


def test_a_plot_has_chart_limit_and_fan():
    plot = Plot(["case_mc", "fan_rpm"])
    assert plot.lines(80, False) == []
    plot.add({"t": "hello", "limit_mc": 45000})
    for i in range(100):
        plot.add({"t": "tel", "case_mc": 40000 + 50 * i, "fan": i // 50, "fan_rpm": 20 * i})
    legend, *chart, rpm, fan = plot.lines(60, False)
    assert legend.split() == ["case", "45.0", "C", "limit", "45.0", "C"]
    assert chart[0].lstrip().startswith("45.0 C")
    assert chart[-1].lstrip().startswith("40.0 C")
    assert all(len(line) == 60 - 1 for line in [*chart, rpm, fan])
    assert set(fan[LABEL:]) == {" ", "▁", "█"}
    # The last sample is the hottest, on the limit: top right of the chart.
    assert chart[0][-1] not in " \u2800"
    assert chart[-1][-1] == "\u2800"


@given(st.lists(st.dictionaries(st.sampled_from([*FIELDS, "limit_mc", "t"]), st.one_of(
    st.none(), st.integers(-(2**53), 2**53), st.floats(-1e15, 1e15), st.text(max_size=3)
)), max_size=20), st.integers(1, 200))  # fmt: skip
def test_any_frames_can_be_plotted(given_frames, width):
    plot = Plot(["case_mc", "score"])
    for frame in given_frames:
        plot.add({"t": "tel", **frame})
    for line in plot.lines(width, False):
        assert len(line) < width


def test_an_unknown_member_cannot_be_plotted():
    with pytest.raises(ValueError, match="'case'"):
        Plot(["case"])


@given(st.lists(st.tuples(st.sampled_from([RECEIVED, SENT]), st.binary(max_size=50)), max_size=8))
def test_a_log_gives_back_every_byte(tmp_path_factory, chunks):
    path = tmp_path_factory.mktemp("log") / "line.log"
    log = LogFile(path)
    for number, (direction, data) in enumerate(chunks):
        log.add(direction, data, 1_795_000_000.25 + number)
    log.close()
    back = [(1_795_000_000.25 + i, *chunk) for i, chunk in enumerate(chunks)]
    assert list(read_log(path)) == back


def test_a_log_is_bounded(tmp_path: Path):
    path = tmp_path / "line.log"
    log = LogFile(path, max_bytes=1000)
    for number in range(100):
        log.add(RECEIVED, b"%d" % number * 20, number)
    log.close()
    kept = [*read_log(path.with_name("line.log.1")), *read_log(path)]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2200
    assert [at for at, _, _ in kept] == [float(n) for n in range(100 - len(kept), 100)]


NO_LOGS = ["hello", "2026-11-21T14:20:45Z < 7", "2026-11-21T14:20:45Z ? b''", "x < b''"]


@pytest.mark.parametrize("line", NO_LOGS)
def test_what_is_no_log_is_refused_with_its_line(tmp_path, line):
    (tmp_path / "log").write_text(line + "\n")
    with pytest.raises(DeviceError, match=":1: is not a line"):
        list(read_log(tmp_path / "log"))


def test_a_log_that_cannot_be_written(tmp_path):
    with pytest.raises(DeviceError, match="cannot be written"):
        LogFile(tmp_path / "no" / "log")
