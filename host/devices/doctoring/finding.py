"""One line of the doctor's report."""

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    OK = "ok"
    OPTIONAL = "--"
    WRONG = "!!"


@dataclass(frozen=True)
class Finding:
    """`next_step` is empty when there is nothing to do."""

    state: State
    what: str
    detail: str
    next_step: str = ""


def ok(what: str, detail: str) -> Finding:
    return Finding(State.OK, what, detail)


def note(what: str, detail: str, next_step: str = "") -> Finding:
    """Worth knowing, in order all the same."""
    return Finding(State.OPTIONAL, what, detail, next_step)


def wrong(what: str, detail: str, next_step: str) -> Finding:
    return Finding(State.WRONG, what, detail, next_step)
