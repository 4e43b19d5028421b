"""That no arena is larger than TFLite-Micro's is by construction: its own plan is one of two.

The engine's first plan has less to place: a RESHAPE's output lies on its input, and there are
neither int32 tensors nor the scratch buffers of C's kernels. It is the smaller one nearly always.
"""

import random

import pytest

from agent.cognition.engine import Model, ops
from agent.cognition.engine.graph import Graph
from agent.cognition.engine.planner import _ORDERS, _greedy, lifetimes, place
from host import reference
from tests.engine import arena_cases
from tests.engine import operator_cases as cases
from tests.engine.families import CASES
from tests.engine.tflite_builder import Builder, random_model

ROWS = 6
GRAPHS = 4

pytestmark = pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)


@pytest.mark.parametrize("name", arena_cases.CASES)
def test_the_smaller_plan_is_taken(name, arena_of):
    case = arena_cases.CASES[name]
    data = case.model()
    first = place(set(lifetimes(Graph(data, ops.name_of), False).values()))
    assert (first, arena_of(data)[0]) == (case.first_bytes, case.head_bytes)
    assert Model(data).ram <= case.head_bytes < case.first_bytes


def test_the_second_plan_is_tflite_micros_own(arena_of):
    """To the byte: tensors and scratch buffers, how long they live, their order, where they go."""
    models = {f"dense {seed}": random_model(seed)[0] for seed in range(20)} | arena_cases.files()
    for name, case in CASES.items():
        for seed in range(GRAPHS):
            b = Builder()
            models[f"{name} {seed}"] = b.build(*case(b, random.Random(f"{name}{seed}")))
    differing = []
    for name, data in models.items():
        spans = lifetimes(Graph(data, ops.name_of), False, as_in_c=True)
        _, placed = _greedy(sorted(spans.values(), key=_ORDERS[0]))
        end = max(offset + span.padded for span, offset in placed)
        if end != arena_of(data)[0]:
            differing.append((name, end, arena_of(data)[0]))
    assert differing == []


@pytest.fixture(scope="module")
def wanted():
    return cases.wanted(arena_cases.files(), ROWS)


def test_copies(wanted):
    """What shares its input's bytes in the first plan is copied in the second."""
    assert cases.differing(cases.on_cpython(arena_cases.files(), ROWS), wanted) == []


@pytest.mark.vm
def test_copies_on_the_vm(wanted, tmp_path, run_on_vm):
    got = cases.on_vm(arena_cases.files(), ROWS, tmp_path, run_on_vm)
    assert cases.differing(got, wanted) == []
