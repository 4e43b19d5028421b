"""Damaged, mixed and chopped-up streams: no wrong frame in, no right one lost, all text kept."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.communication.frames import FRAME, Decoder, encode, pack

MUTATED = 100_000
WORDS = (b">>> ", b"\n", b"\r\n", b"#fw1 ", b"#", b"#fw1 62 ", b'{"t":"tel"', b"\xff\x00", b"I (3)")


def frame_of(rng, number):
    frame = {"t": rng.choice(("tel", "dec", "log")), "boot": 7, "seq": number}
    if rng.random() < 0.5:
        frame["msg"] = rng.choice(
            ("", "x" * rng.randrange(80), '#fw1 9 00000000 {"t":"', "\n\r#fw1")
        )
    return frame


def mutate(rng, line):
    """The line damaged in one to three ways; the last byte, its line break, included."""
    data = bytearray(line)
    for _ in range(rng.randrange(1, 4)):
        if not data:
            break
        at = rng.randrange(len(data))
        how = rng.randrange(6)
        if how == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            del data[at]
        elif how == 2:
            data.insert(at, data[at])
        elif how == 3:
            del data[at:]
        elif how == 4:
            data[at:at] = rng.choice(WORDS)
        else:
            data[at] = rng.randrange(256)
    return bytes(data)


def feed_in_chunks(rng, stream):
    decoder = Decoder()
    events = []
    at = 0
    while at < len(stream):
        n = rng.choice((1, 2, 7, 64, 300))
        events += decoder.feed(stream[at : at + n])
        at += n
    return events + decoder.flush()


def conserved(stream, events):
    """Whether the events, put together, are the stream: only line breaks of frames may lack."""
    at = 0
    after_frame = False
    for event in events:
        if after_frame:
            at = past_line_break(stream, at)
        raw = pack(event[2])[:-1] if event[0] == FRAME else event[1]
        if not stream.startswith(raw, at):
            return False
        at += len(raw)
        after_frame = event[0] == FRAME
    return (past_line_break(stream, at) if after_frame else at) == len(stream)


def past_line_break(stream, at):
    for line_break in (b"\r\n", b"\n"):
        if stream.startswith(line_break, at):
            return at + len(line_break)
    return at


def test_a_hundred_thousand_mutated_lines():
    rng = random.Random(20261121)
    done = accepted = 0
    number = 0
    while done < MUTATED:
        parts = []
        lines = []
        for _ in range(rng.randrange(5, 40)):
            number += 1
            frame = frame_of(rng, number)
            line = encode(frame)
            lines.append(line[:-1])
            draw = rng.random()
            if draw < 0.65:
                parts.append(mutate(rng, line))
                done += 1
            elif draw < 0.85:
                parts.append(line if rng.random() < 0.7 else line[:-1])
            else:
                parts.append(rng.choice(WORDS) * rng.randrange(1, 4))
        stream = b"".join(parts)
        events = feed_in_chunks(rng, stream)
        got = [pack(event[2])[:-1] for event in events if event[0] == FRAME]
        # Each line is unique, so what is whole in the stream, by luck even, is a right frame.
        assert got == [line for line in lines if line in stream]
        assert conserved(stream, events), stream
        accepted += len(got)
    assert accepted > MUTATED // 10


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(max_examples=300)
@given(
    st.lists(
        st.binary(max_size=60) | st.dictionaries(st.text(max_size=6), JSON, max_size=4),
        max_size=8,
    ),
    st.integers(min_value=1, max_value=50),
)
def test_frames_between_arbitrary_bytes(parts, size):
    stream = b""
    sent = []
    for part in parts:
        if isinstance(part, bytes):
            stream += part
        else:
            frame = {**part, "t": "x"}
            sent.append(frame)
            stream += encode(frame)
    decoder = Decoder()
    events = []
    for at in range(0, len(stream), size):
        events += decoder.feed(stream[at : at + size])
    events += decoder.flush()
    assert [event[1] for event in events if event[0] == FRAME] == sent
    assert conserved(stream, events)


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_come_out_again(data):
    decoder = Decoder()
    events = decoder.feed(data) + decoder.flush()
    assert b"".join(event[1] for event in events) == data
