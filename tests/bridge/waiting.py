"""Waiting for what has to come true, however busy the machine is."""

import time
from collections.abc import Callable
from typing import Any

# Long enough for a machine that stands still now and then; what never comes costs it once.
PATIENCE_S = 60.0


def eventually(check: Callable[[], Any], timeout_s: float = PATIENCE_S, what: object = "") -> Any:
    """The first true value of `check`. Raises AssertionError after `timeout_s`."""
    until = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"never came true: {what or check}")
        time.sleep(0.03)
