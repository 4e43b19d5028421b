"""Features against the plainest possible implementation of docs/bundle.md."""

import random
import time

import pytest

from agent.cognition.features import UNITS, FeatureWindow, quantise


def naive(samples, forecasts):
    """samples: (case, ambient, power, rpm, on); forecasts: by sample, None where there is none."""
    n = len(samples)
    case = [s[0] for s in samples]
    now = samples[-1]
    if n > 30:
        trend = case[-1] - case[-31]
    else:
        trend = (case[-1] - case[0]) * 30 // (n - 1) if n > 1 else 0
    residuals = []
    for k in range(n):
        on = [s[4] for s in samples[k - 59 : k + 1]] if k >= 60 else []
        if on and len(set(on)) == 1 and forecasts[k - 60] is not None:
            residuals.append(case[k] - forecasts[k - 60])
        else:
            residuals = []
    last = residuals[-10:]
    power = [s[2] for s in samples[-60:]]
    rpm = [s[3] for s in samples[-10:]]
    fan = [s[4] for s in samples[-60:]]
    return {
        "case_mc": now[0],
        "ambient_mc": now[1],
        "rise_mk": now[0] - now[1],
        "power_mw": now[2],
        "power_avg_mw": sum(power) // len(power),
        "trend_mk": trend,
        "fan_rpm": sum(rpm) // len(rpm),
        "fan_pm": sum(fan) * 1000 // len(fan),
        "residual_mk": sum(last) // len(last) if last else 0,
    }


@pytest.mark.parametrize("seed", range(6))
def test_every_feature_at_every_sample(seed):
    rng = random.Random(seed)
    window = FeatureWindow()
    samples, forecasts = [], []
    on = 1
    for _ in range(400):
        if rng.random() < (0.02, 0.005)[seed % 2]:
            on = 1 - on
        sample = (
            rng.randrange(-20000, 90000),
            rng.randrange(-20000, 50000),
            rng.randrange(0, 200000),
            rng.randrange(0, 6000),
            on,
        )
        samples.append(sample)
        window.push(*sample)
        wanted = naive(samples, [*forecasts, None])
        assert {name: window.value(name) for name in UNITS} == wanted
        forecast = rng.randrange(-20000, 90000) if rng.random() < 0.97 else None
        forecasts.append(forecast)
        if forecast is not None:
            window.expect(forecast)


def test_an_unknown_feature_is_a_key_error():
    assert not FeatureWindow.known("humidity")
    with pytest.raises(KeyError):
        FeatureWindow().value("humidity")


@pytest.mark.parametrize(
    ("value", "offset", "mul", "shift", "q"),
    [
        (45000, 45000, 3342, 20, 0),
        (45157, 45000, 3342, 20, 1),
        (45156, 45000, 3342, 20, 0),
        (44843, 45000, 3342, 20, -1),
        (44844, 45000, 3342, 20, 0),
        (10**9, 0, 4095, 1, 127),
        (-(10**9), 0, 4095, 1, -128),
        (10**9, 0, -4095, 1, -128),
        (262143 + 5, 5, 1, 12, 64),
        (10**9, 5, 1, 12, 64),
    ],
)
def test_quantise(value, offset, mul, shift, q):
    assert quantise(value, offset, mul, shift) == q


def test_products_stay_small_ints():
    assert 262143 * 4095 + (1 << 28) < 1 << 31


def test_a_hundred_thousand_samples_take_seconds():
    window = FeatureWindow()
    began = time.process_time()
    for i in range(100_000):
        window.push(40000 + i % 7, 23000, 5000, 1200, i // 100 % 2)
    assert time.process_time() - began < 10
