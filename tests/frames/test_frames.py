"""The frame codec, case by case."""

import json

import pytest

from agent.communication.frames import (
    FRAME,
    MAX_JSON,
    MAX_LINE,
    TEXT,
    Decoder,
    encode,
    pack,
    to_json,
)

TEL = {"t": "tel", "boot": 7, "seq": 112, "ms": 182300, "case_mc": 41250}
LINE = encode(TEL)
GOOD = (FRAME, TEL, to_json(TEL))


def decode(data, **kwargs):
    decoder = Decoder(**kwargs)
    return decoder.feed(data) + decoder.flush()


def test_a_frame_is_one_readable_line():
    assert LINE == b'#fw1 58 0afb7a2b {"t":"tel","boot":7,"seq":112,"ms":182300,"case_mc":41250}\n'


def test_t_comes_first_whatever_the_order_of_the_members():
    assert to_json({"boot": 7, "t": "tel"}) == b'{"t":"tel","boot":7}'
    assert to_json({"t": "x"}) == b'{"t":"x"}'


@pytest.mark.parametrize(
    ("before", "after", "events"),
    [
        (b"", b"", [GOOD]),
        (b">>> ", b"", [(TEXT, b">>> "), GOOD]),
        (b"", b"I (312) wifi: up\r\n", [GOOD, (TEXT, b"I (312) wifi: up\r\n")]),
        (b"#fw1 ", b"", [(TEXT, b"#fw1 "), GOOD]),
        (b"#fw1 58 0afb7a2b ", b"", [(TEXT, b"#fw1 58 0afb7a2b "), GOOD]),
        (
            b'#fw1 58 0afb7a2b {"t":"tel","bo',
            b"",
            [(TEXT, b'#fw1 58 0afb7a2b {"t":"tel","bo'), GOOD],
        ),
        (b"\n\n", b"\n", [(TEXT, b"\n\n"), GOOD, (TEXT, b"\n")]),
        (b"#", b"", [(TEXT, b"#"), GOOD]),
    ],
)
def test_text_around_a_frame(before, after, events):
    assert decode(before + LINE + after) == events


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_any_line_break_and_none_belong_to_the_frame(ending):
    assert decode(LINE[:-1] + ending + LINE) == [GOOD, GOOD]


def test_a_lone_carriage_return_is_text():
    assert decode(LINE[:-1] + b"\rx") == [GOOD, (TEXT, b"\rx")]


def test_a_frame_comes_out_before_its_line_break():
    assert Decoder().feed(LINE[:-1]) == [GOOD]


@pytest.mark.parametrize(
    "line",
    [
        b"#fw1 058 0afb7a2b " + LINE[17:],
        b"#fw1 58 0AFB7A2B " + LINE[17:],
        b"#fw1 57 0afb7a2b " + LINE[17:],
        b"#fw1  58 0afb7a2b " + LINE[17:],
        b"#fw2 58 0afb7a2b " + LINE[17:],
        b"#fw1 +58 0afb7a2b " + LINE[17:],
        b"#fw1 5_8 0afb7a2b " + LINE[17:],
        b"#fw1 99999 0afb7a2b " + LINE[17:],
        pack(b"[1,2,3]"),
        pack(b'{"t":1}'),
        pack(b'{"a":"tel"}'),
        pack(b'{"t":"tel","v":NaN}'),
        pack(b'{"t":"tel","v":Infinity}'),
        pack(b'{"t":"tel",}'),
        pack(b'{"t":"\xff"}'),
        pack(b'{"t":"a","v":' + b"[" * 3000 + b"}"),
        pack(b'{"t":"a"} {"t":"b"}'),
        pack(b'{"t":"a","v":"\n"}'),
    ],
)
def test_what_is_not_quite_a_frame_is_text(line):
    assert b"".join(text for _, text in decode(line)) == line


def test_every_cut_of_the_stream_gives_the_same_events():
    stream = b"boot\r\n" + LINE + b"#fw1 9" + LINE[:-1] + b"\r\n>>> "
    whole = [e for e in decode(stream) if e[0] == FRAME]
    for cut in range(len(stream)):
        decoder = Decoder()
        events = decoder.feed(stream[:cut]) + decoder.feed(stream[cut:]) + decoder.flush()
        assert [e for e in events if e[0] == FRAME] == whole
        text = b"".join(e[1] for e in events if e[0] == TEXT)
        assert text == b"boot\r\n#fw1 9>>> "


def test_text_with_a_frame_in_it_stays_inside_its_frame():
    log = {"t": "log", "lvl": "info", "msg": LINE.decode()}
    assert [e[1] for e in decode(encode(log))] == [log]
    torn = encode(log)[:-9] + b"\n"
    assert [kind for kind, *_ in decode(torn)] == [TEXT]


def test_a_decoder_holds_at_most_a_line():
    decoder = Decoder()
    junk = b"#fw1 4096 00000000 " + b'{"t":"' + b"x" * 20000
    text = b""
    for i in range(0, len(junk), 7):
        text += b"".join(e[1] for e in decoder.feed(junk[i : i + 7]))
        assert i + 7 - len(text) <= MAX_LINE
    assert text + b"".join(e[1] for e in decoder.flush()) == junk


def test_a_shorter_limit_refuses_longer_frames():
    assert [e[0] for e in decode(LINE, max_json=57)] == [TEXT]
    assert decode(LINE, max_json=58) == [GOOD]


def test_counting_does_not_look_into_the_json():
    assert decode(LINE, parse=False) == [(FRAME, None, to_json(TEL))]


def test_the_longest_frame_fits_and_one_byte_more_does_not():
    room = MAX_JSON - len(to_json({"t": "log", "msg": ""}))
    frame = {"t": "log", "msg": "x" * room}
    assert decode(encode(frame))[0][1] == frame
    with pytest.raises(ValueError, match="4097 bytes, at most 4096"):
        encode({"t": "log", "msg": "x" * (room + 1)})


@pytest.mark.parametrize("frame", [{}, {"t": 1}, {"t": "x", "v": float("nan")}])
def test_what_cannot_be_a_frame_is_refused(frame):
    with pytest.raises(ValueError):  # noqa: PT011 - three causes, one kind
        encode(frame)


def test_unicode_and_control_characters_survive():
    frame = {"t": "log", "msg": 'ä€😀\u2028\x00\r\n\t"\\{"'}
    line = encode(frame)
    assert line.count(b"\n") == 1
    assert decode(line)[0][1] == frame
    assert json.loads(decode(line)[0][2]) == frame
