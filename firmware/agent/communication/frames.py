"""The serial frame, for both ends of the line: docs/frames.md says what it looks like and why.

    line = encode({"t": "tel", "boot": 7, "seq": 112})
    for event in Decoder().feed(line):
        if event[0] == FRAME:
            _, obj, raw = event     # raw: the JSON text as it came
        else:
            _, text = event         # bytes that are not part of any frame

Runs under CPython 3.11+ and MicroPython 1.24+.
"""

import json
import sys
from binascii import crc32

MARKER = b"#fw1 "
MIN_JSON = 2
MAX_JSON = 4096
# Marker, four digits, space, eight digits, space, JSON, CR and LF.
MAX_LINE = 5 + 4 + 1 + 8 + 1 + MAX_JSON + 2

FRAME = "frame"
TEXT = "text"

_OPENING = b'{"t":"'
_HEADER_REST = 4 + 1 + 8 + 1
_SEPARATORS = (",", ":")
_LF = 10
_CR = 13


def _refuse(word):
    raise ValueError("%s is not JSON" % word)


if sys.implementation.name == "micropython":

    def _dumps(obj):
        return json.dumps(obj, separators=_SEPARATORS)

    def _loads(text):
        return json.loads(text)

else:
    _dumps = json.JSONEncoder(
        separators=_SEPARATORS, ensure_ascii=False, allow_nan=False, check_circular=False
    ).encode
    _loads = json.JSONDecoder(parse_constant=_refuse).decode


def encode(obj: dict) -> bytes:
    """One frame with its line break. `obj` is not changed, and needs a str member `t`.

    Raises ValueError where `t` is missing or the JSON text is longer than MAX_JSON bytes, and
    ValueError or TypeError for what JSON cannot say.
    """
    return pack(to_json(obj))


def to_json(obj: dict) -> bytes:
    """The compact JSON text of a frame, `t` in front whatever the order of the members."""
    kind = obj.get("t")
    if not isinstance(kind, str):
        raise ValueError("a frame needs a str member t")
    rest = {key: value for key, value in obj.items() if key != "t"}
    start = b'{"t":%s' % _dumps(kind).encode()
    if not rest:
        return start + b"}"
    # One copy, where adding text to text would make four: a board may not have the room.
    return start + b"," + memoryview(_dumps(rest).encode())[1:]


def pack(text: bytes) -> bytes:
    """The frame around a JSON text of to_json() or of a decoder. Raises ValueError on its size."""
    if not MIN_JSON <= len(text) <= MAX_JSON:
        raise ValueError("frame of %d bytes, at most %d fit" % (len(text), MAX_JSON))
    return b"#fw1 %d %08x %s\n" % (len(text), crc32(text) & 0xFFFFFFFF, text)


class Decoder:
    """Cuts a byte stream into frames and text, however it is chopped up, damaged or mixed.

    max_json: longest JSON text accepted; it also bounds the bytes held back between calls.
    parse: False for who only counts frames: the object is then None, and the JSON not looked into.
    """

    def __init__(self, max_json: int = MAX_JSON, parse: bool = True):
        self._max_json = max_json
        self._parse = parse
        self._held = b""
        self._line_break = False  # a frame just ended: its line break is not text

    def feed(self, data: bytes) -> list:
        """Events in order: ("frame", object, JSON bytes) and ("text", bytes).

        Text comes out as soon as it cannot become part of a frame. Never raises on any bytes.
        """
        buf = self._held + data if self._held else bytes(data)
        events: list = []
        size = len(buf)
        start = 0  # of what has not been handed out
        search = 0
        while True:
            if self._line_break:
                start = search = self._skip_line_break(buf, start, size)
                if self._line_break:
                    break
            at = buf.find(MARKER, search)
            if at < 0:
                at = _marker_may_start(buf, search, size)
                break
            end = self._frame_end(buf, at, size)
            if end == 0:
                search = at + 1
                continue
            if end > size:
                # A whole frame inside what is still to be one: the outer one was torn.
                inner = self._whole_frame(buf, at + 1, size)
                if inner == 0:
                    break
                at = inner
                end = self._frame_end(buf, at, size)
            text = buf[buf.find(b"{", at) : end]
            obj = _parse(text) if self._parse else None
            if obj is None and self._parse:
                search = at + 1
                continue
            if at > start:
                events.append((TEXT, buf[start:at]))
            events.append((FRAME, obj, text))
            start = search = end
            self._line_break = True
        if self._line_break:
            at = start
        if at > start:
            events.append((TEXT, buf[start:at]))
        self._held = buf[at:]
        return events

    def flush(self) -> list:
        """What is held back as a possible frame, as text: the line is closed or has gone silent."""
        held = self._held
        self._held = b""
        self._line_break = False
        return [(TEXT, held)] if held else []

    def _skip_line_break(self, buf, at, size):
        # Clears the flag once decided; leaves it where the deciding byte is still to come.
        if at >= size:
            return at
        if buf[at] == _CR:
            if at + 1 >= size:
                return at
            self._line_break = False
            return at + 2 if buf[at + 1] == _LF else at
        self._line_break = False
        return at + 1 if buf[at] == _LF else at

    def _whole_frame(self, buf, search, size):
        while True:
            at = buf.find(MARKER, search)
            if at < 0:
                return 0
            if 0 < self._frame_end(buf, at, size) <= size:
                return at
            search = at + 1

    def _frame_end(self, buf, at, size):
        # Where the frame marked at `at` ends; 0: none here; beyond `size`: more bytes decide.
        head = buf[at + 5 : at + 5 + _HEADER_REST]
        blank = head.find(b" ")
        if blank < 0:
            if len(head) > 4 or (head and not head.isdigit()):
                return 0
            return size + 1
        if not 0 < blank < 5 or not head[:blank].isdigit() or head[0] == 48:
            return 0
        length = int(head[:blank])
        if not MIN_JSON <= length <= self._max_json:
            return 0
        start = at + 5 + blank + 10
        if start > size:
            return 0 if b"\n" in head else size + 1
        opening = buf[start : start + 6]
        if buf[start - 1] != 32 or opening != _OPENING[: len(opening)]:
            return 0
        end = start + length
        if end > size:
            return 0 if buf.find(b"\n", start) >= 0 else end
        text = buf[start:end]
        if text[-1] != 125:
            return 0
        return end if head[blank + 1 : blank + 9] == b"%08x" % (crc32(text) & 0xFFFFFFFF) else 0


def _parse(text):
    try:
        obj = _loads(str(text, "utf-8"))
    except (ValueError, RuntimeError):  # as UnicodeError and RecursionError are
        return None
    return obj if isinstance(obj, dict) and isinstance(obj.get("t"), str) else None


def _marker_may_start(buf, search, size):
    """Where the longest beginning of a marker at the end of `buf` starts, or `size`."""
    for n in range(min(4, size - search), 0, -1):
        if buf[size - n :] == MARKER[:n]:
            return size - n
    return size
