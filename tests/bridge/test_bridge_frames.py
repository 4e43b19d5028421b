"""What boards send is checked and bounded, whatever it is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.bridge import validate
from host.bridge.errors import InvalidFrame
from host.bridge.link_stats import LinkStats
from tests.bridge.fake_board import decision

HEAD = {"boot": 1, "seq": 1, "ms": 0}
HELLO = {"t": "hello", **HEAD, "dev": "box-one"}
TEL = {"t": "tel", **HEAD, "case_mc": 41000, "fan": 0}
DEC = {"t": "dec", **HEAD, **decision()}
ALARM = {"t": "alarm", **HEAD, "kind": "fan", "on": 1, "why": "Fan stands still"}
PHI = DEC["phi"]

GOOD = [HELLO, TEL, DEC, ALARM, {**TEL, "case_mc": None}, {**DEC, "phi": None}]
BAD: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (HELLO, {"dev": "Box One"}, "dev"),
    (HELLO, {"dev": "a/b"}, "dev"),
    (HELLO, {"dev": "x" * 33}, "dev"),
    (HELLO, {"dev": None}, "dev"),
    (HELLO, {"models": ["a"]}, "models"),
    (TEL, {"t": "nonsense"}, "unknown type"),
    (TEL, {"boot": -1}, "boot"),
    (TEL, {"boot": True}, "boot"),
    (TEL, {"seq": 0}, "seq"),
    (TEL, {"seq": 2**60}, "53 bits"),
    (TEL, {"at": "now"}, "at"),
    (TEL, {"case_mc": "hot"}, "case_mc"),
    (TEL, {"case_mc": True}, "case_mc"),
    (TEL, {"fan": 2}, "fan"),
    (TEL, {"x": [[[[[[[1]]]]]]]}, "nested"),
    (TEL, {"x": list(range(65))}, "more than 64"),
    (DEC, {"rule": "mood"}, "rule"),
    (DEC, {"set": None}, "set"),
    (DEC, {"why": None}, "why"),
    (DEC, {"held": "x"}, "held"),
    (DEC, {"in": []}, "in"),
    (DEC, {"phi": {**PHI, "den": 0}}, "den"),
    (DEC, {"phi": {**PHI, "num": [1.5] * 6}}, "num"),
    (DEC, {"phi": {**PHI, "num": [1]}}, "one length"),
    (DEC, {"phi": {**PHI, "lsb": None}}, "lsb"),
    (DEC, {"phi": {**PHI, "names": [1] * 6}}, "names"),
    (ALARM, {"kind": "fire"}, "kind"),
]


@pytest.mark.parametrize("frame", GOOD)
def test_good_frames_pass_unchanged(frame: dict[str, Any]) -> None:
    assert validate.frame(frame) == frame


@pytest.mark.parametrize(("base", "change", "word"), BAD)
def test_bad_frames_are_refused(base: dict[str, Any], change: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidFrame, match=word):
        validate.frame({**base, **change})


def test_text_is_cut_and_cleaned() -> None:
    why = "\x1b[2J<script>\ud800\u202e" + "x" * 999
    checked = validate.frame({**ALARM, "why": why})["why"]
    assert len(checked) == validate.MAX_TEXT
    assert checked.startswith(" [2J<script>  x")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(
    st.sampled_from(GOOD),
    st.dictionaries(st.sampled_from([*DEC, *TEL, *HELLO, *ALARM, "x"]), JSON, max_size=6),
)
def test_whatever_passes_can_be_stored_and_shown(
    base: dict[str, Any], change: dict[str, Any]
) -> None:
    frame = {**base, **change, "t": base["t"]}
    try:
        checked = validate.frame(frame)
    except InvalidFrame:
        return
    json.dumps(checked, ensure_ascii=False, allow_nan=False).encode()


SEQUENCES = [
    # durable numbers as they come, gaps, duplicates, missing at the end
    ([1, 2, 3], 0, 0, 0),
    ([5, 6, 7], 0, 0, 0),
    ([1, 4], 1, 0, 2),
    ([1, 4, 2, 3], 1, 0, 0),
    ([1, 4, 2, 3, 3, 4], 1, 2, 0),
    ([3, 1], 0, 1, 0),
    ([1, 9000], 1, 0, 256),
]


@pytest.mark.parametrize(("numbers", "gaps", "duplicates", "missing"), SEQUENCES)
def test_gaps_and_duplicates(numbers: list[int], gaps: int, duplicates: int, missing: int) -> None:
    stats = LinkStats()
    for number in numbers:
        stats.saw_durable(1, number)
    assert (stats.gaps, stats.duplicates, stats.missing) == (gaps, duplicates, missing)
