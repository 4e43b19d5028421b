"""Commands: every argument bounded, everything answered, nothing raised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decision.override import Override
from agent.rare.commands import COMMANDS, run


class Target:
    def __getattr__(self, name):
        assert name.removeprefix("cmd_") in [known.replace("-", "") for known in COMMANDS]
        return lambda args: (True, name, None)


def ask(**frame):
    return run({"t": "cmd", "id": "a1", **frame}, Target())


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("override", {"fan": 0, "for_s": 1}),
        ("override", {"fan": 1, "for_s": 86400}),
        ("auto", {}),
        ("explain", {}),
        ("rebirth", {}),
        ("ping", {}),
        ("set_limit", {"limit_mc": 40000}),
        ("reboot", {}),
        ("self-test", {}),
    ],
)
def test_known_commands(name, args):
    method = "cmd_" + name.replace("-", "")
    assert ask(name=name, args=args) == {"t": "rsp", "id": "a1", "ok": True, "msg": method}


def test_a_command_may_be_answered_later():
    class Later:
        def cmd_selftest(self, args):
            return None

    assert run({"t": "cmd", "id": "a1", "name": "self-test"}, Later()) is None


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"name": "open"}, "known are auto, explain, override, ping, rebirth, reboot, self-test"),
        ({"name": 5}, "unknown command"),
        ({"name": ["ping"]}, "unknown command"),
        ({}, "unknown command"),
        ({"name": "ping", "args": []}, "args: an object"),
        ({"name": "ping", "args": {"x": 1}}, "takes none"),
        ({"name": "override", "args": {}}, "fan: a number from 0 to 1"),
        ({"name": "override", "args": {"fan": True, "for_s": 5}}, "fan"),
        ({"name": "override", "args": {"fan": 1.0, "for_s": 5}}, "fan"),
        ({"name": "override", "args": {"fan": 1, "for_s": 0}}, "for_s: a number from 1 to 86400"),
        ({"name": "override", "args": {"fan": 1, "for_s": 86401}}, "for_s"),
        ({"name": "set_limit", "args": {"limit_mc": 1 << 40}}, "limit_mc"),
        ({"name": "ping", "id": ""}, "id: 1 to 32"),
        ({"name": "ping", "id": "x" * 33}, "id: 1 to 32"),
        ({"name": "ping", "id": 7}, "id: 1 to 32"),
    ],
)
def test_refusals(frame, words):
    answer = ask(**frame)
    assert answer["ok"] is False
    assert words in answer["msg"]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {}, optional={"id": ANY, "name": ANY | st.sampled_from(sorted(COMMANDS)), "args": ANY}
    )
)
def test_anything_is_answered(frame):
    answer = run(frame, Target())
    assert answer["t"] == "rsp"
    assert isinstance(answer["ok"], bool)


def test_an_override_expires():
    override = Override()
    override.set(1, 10, 5000)
    assert [override.left_s(ms) for ms in (5000, 5001, 14001, 14999)] == [10, 10, 1, 1]
    assert override.fan == 1
    assert (override.left_s(15000), override.fan) == (0, None)
