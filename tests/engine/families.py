"""A case or more of every operator there is, by family: what each family's own tests have."""

from tests.engine import (
    test_conv,
    test_elementwise,
    test_lstm,
    test_pooling,
    test_reduce,
    test_shapes,
)
from tests.engine.operator_cases import Case

FAMILIES: tuple[dict[str, Case], ...] = (
    test_elementwise.CASES,
    test_reduce.CASES,
    test_shapes.CASES,
    {"LSTM": test_lstm.lstm},
    test_conv.CASES,
    test_pooling.CASES,
)
CASES = {name: case for family in FAMILIES for name, case in family.items()}
