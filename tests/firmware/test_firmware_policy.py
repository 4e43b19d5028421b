"""The policy as tables: what is asked, by which rule, and the words for it."""

import pytest

from agent.decision import policy
from agent.decision.policy import Situation, decide
from agent.rare.words import celsius, kelvin, mostly, reason


def situation(**values):
    s = Situation(45000, 55000, 1000, 1500)
    s.started = True
    s.rule = "forecast"
    s.no_model = "no model is installed"
    for name, value in values.items():
        assert hasattr(s, name)
        setattr(s, name, value)
    return s


DECISIONS = [
    # case, off, on, fan_on, more -> ask, rule
    (None, None, None, 1, {"started": False}, 1, "boot"),
    (None, None, None, 0, {}, 1, "sensor_loss"),
    (None, 40000, 39000, 0, {"override": 0}, 1, "sensor_loss"),
    (55000, 56000, 50000, 0, {}, 1, "overtemp"),
    (55000, 50000, 50000, 0, {"override": 0}, 1, "overtemp"),
    (54999, None, None, 1, {"override": 0}, 0, "override"),
    (54000, None, None, 1, {"override": 0, "rule": "overtemp"}, 1, "overtemp"),
    (53999, None, None, 1, {"override": 0, "rule": "overtemp"}, 0, "override"),
    (40000, 50000, 48000, 1, {"override": 0}, 0, "override"),
    (20000, 20000, 20000, 0, {"override": 1}, 1, "override"),
    # forecast: the cheapest that stays below the limit
    (40000, 44999, 42000, 0, {}, 0, "forecast"),
    (40000, 45000, 42000, 0, {}, 1, "forecast"),
    (45000, 44000, 42000, 0, {}, 1, "forecast"),
    # from on to off only a hysteresis below
    (40000, 44000, 42000, 1, {}, 1, "forecast"),
    (40000, 43999, 42000, 1, {}, 0, "forecast"),
    (44000, 43000, 42000, 1, {}, 1, "forecast"),
    # nothing stays below: the coldest, and on where they are equal
    (46000, 50000, 48000, 0, {}, 1, "forecast"),
    (46000, 48000, 50000, 1, {}, 0, "forecast"),
    (46000, 48000, 48000, 0, {}, 1, "forecast"),
    # an anomaly tightens the limit
    (40000, 43500, 42000, 0, {"anomaly": True}, 1, "forecast"),
    (40000, 43499, 42000, 0, {"anomaly": True}, 0, "forecast"),
    # thermostat
    (45000, None, None, 0, {}, 0, "thermostat"),
    (45001, None, None, 0, {}, 1, "thermostat"),
    (44000, None, None, 1, {}, 1, "thermostat"),
    (43999, None, None, 1, {}, 0, "thermostat"),
    (43600, None, None, 0, {"anomaly": True}, 1, "thermostat"),
    (45001, 40000, None, 0, {}, 1, "thermostat"),
]


@pytest.mark.parametrize(("case", "off", "on", "fan_on", "more", "ask", "rule"), DECISIONS)
def test_decisions(case, off, on, fan_on, more, ask, rule):
    s = situation(case_mc=case, fc_off_mc=off, fc_on_mc=on, fan_on=fan_on, **more)
    assert decide(s) == (ask, rule)
    words = reason(s, ask, rule)
    assert words.startswith("Fan on because " if ask else "Fan off because ")
    assert words.isascii()
    assert len(words) < 200


WORDS = [
    (
        {"case_mc": 44300, "fc_off_mc": 46200, "fc_on_mc": 43100, "fan_on": 0},
        "Fan on because the case would reach 46.2 C in 60 s with it off (limit 45.0 C)",
    ),
    (
        {"case_mc": 40000, "fc_off_mc": 42100, "fc_on_mc": 39000, "fan_on": 1},
        "Fan off because the case would be at 42.1 C in 60 s without it (limit 45.0 C)",
    ),
    (
        {"case_mc": 40000, "fc_off_mc": 44300, "fc_on_mc": 39000, "fan_on": 1},
        "Fan on because the case would come within 1.0 K of the limit, at 44.3 C in 60 s with it"
        " off (limit 45.0 C)",
    ),
    (
        {"case_mc": 46000, "fc_off_mc": 48000, "fc_on_mc": 46500, "fan_on": 0},
        "Fan on because the case would reach 46.5 C in 60 s even with it, 48.0 C without it"
        " (limit 45.0 C)",
    ),
    (
        {"case_mc": 45200, "fan_on": 0, "anomaly": True},
        "Fan on because the case is at 45.2 C, above the limit 43.5 C, tightened by 1.5 K for an"
        " anomaly (by thermostat: no model is installed)",
    ),
    (
        {"case_mc": None, "case_reason": "no presence pulse: unplugged"},
        "Fan on because the case temperature is not known: no presence pulse: unplugged",
    ),
    (
        {"case_mc": 56230},
        "Fan on because the case is at 56.2 C, at or above the trip point 55.0 C",
    ),
    (
        {"case_mc": 40000, "override": 0, "override_left_s": 118},
        "Fan off because a command says so for another 118 s",
    ),
]


@pytest.mark.parametrize(("values", "words"), WORDS)
def test_words(values, words):
    s = situation(**values)
    assert reason(s, *decide(s)) == words


@pytest.mark.parametrize(
    ("contributions", "words"),
    [
        (
            [("power", 3120), ("trend", 1180), ("ambient", -400)],
            "; mostly power +3.1 K, trend +1.2 K",
        ),
        ([("power", 100), ("trend", -2000)], "; mostly trend -2.0 K, power +0.1 K"),
        ([("power", 49), ("trend", -49)], ""),
        ([], ""),
    ],
)
def test_the_two_largest_contributions_are_named(contributions, words):
    assert mostly(contributions) == words


@pytest.mark.parametrize(
    ("mc", "words"),
    [(45449, "45.4 C"), (45450, "45.5 C"), (-50, "0.0 C"), (-51, "-0.1 C"), (-12340, "-12.3 C")],
)
def test_celsius(mc, words):
    assert celsius(mc) == words


def test_kelvin():
    assert [kelvin(mk) for mk in (0, 49, 50, -49, -50, -1250)] == [
        *("+0.0 K", "+0.0 K", "+0.1 K", "+0.0 K", "-0.1 K", "-1.3 K")
    ]


def test_the_safe_rules_always_ask_for_the_fan():
    assert {rule for *_, ask, rule in DECISIONS if rule in policy.SAFE_RULES and not ask} == set()
