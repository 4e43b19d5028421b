"""What a board says of the set that was deployed: that it runs, or why it was given up.

hello = wait(repl, set_id, ["cooling@2"], 90)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from host.devices.deploy_plan import NO_SET
from host.devices.errors import NoAnswerError, VerifyError

# A first period takes one second, and more where a board has a lot to do.
PERIOD_S = 20.0
# Room for why it stopped, behind which a chip's own boot text comes.
TEXT_CHARS = 4000
TAIL_CHARS = 400
PLAIN_WORDS = "the files at its root"
# The last line of a traceback, and what it tells.
RAISED = re.compile(r"^(?P<kind>[A-Za-z_]\w*(?:Error|Exception)):? ?(?P<message>.*)$", re.MULTILINE)
# What to do about models and settings that were refused, first match wins.
REMEDIES = (
    (
        r"memory allocation|MemoryError",
        "the heap is too small for this set: deploy a smaller model, or leave one out",
    ),
    (
        r"golden row",
        "train it again and deploy that; if a new one is refused so, this firmware's kernels are "
        "wrong for the chip: leave the model out",
    ),
    (r"model refused", "train it again, or leave it out, then deploy"),
    (r"ConfigError", "correct the settings, then deploy"),
)


class Heard(Protocol):
    """A BoardRepl."""

    @property
    def patience(self) -> float: ...
    def frames(self, timeout_s: float) -> Iterator[tuple[str, Any]]: ...


def wait(repl: Heard, set_id: str, models: Sequence[str], timeout_s: float) -> dict[str, Any]:
    """The hello frame of the set that was deployed. Raises VerifyError, NoAnswerError."""
    text, hello = "", {}
    for kind, what in repl.frames(timeout_s):
        if kind == "text":
            text = (text + what)[-TEXT_CHARS:]
        elif what["t"] == "hello":
            if what.get("set") == set_id:
                hello = what
                break
            raise _another(set_id, what, text)
    if not hello:
        said = f"; it says:\n{_tail(text)}" if text.strip() else ""
        raise NoAnswerError(
            f"set {set_id} is on the board, which has not said that it runs in {timeout_s:.0f} s"
            f"{said}\npress EN and look with ./run monitor; after three boots it goes back to "
            "what ran before by itself"
        )
    problems = _errors(repl)
    told = set((hello.get("models") or {}).values())
    problems += [f"model {name} is not in use" for name in models if name not in told]
    if hello.get("safe") or problems:
        why = "; ".join(problems) or "it is in safe mode"
        raise _failure(f"set {set_id} runs, but not as meant: {why}", set_id, hello, why)
    return hello


def _another(set_id: str, hello: Mapping[str, Any], text: str) -> VerifyError:
    runs = hello.get("set", PLAIN_WORDS)
    if hello.get("failed") != set_id:
        why = f"the board runs set {runs}, not {set_id}"
        words = f"{why}: somebody else deploys, or this is another board; deploy again"
        return _failure(words, set_id, hello, why)
    words = f"set {set_id} did not come up; the board went back to {runs} by itself, which runs; "
    why, remedy = why_given_up(text)
    words += "; ".join(filter(None, (why, remedy))) or f"it said:\n{_tail(text)}"
    return _failure(words, set_id, hello, why)


def _failure(words: str, set_id: str, hello: Mapping[str, Any], why: str) -> VerifyError:
    error = VerifyError(words)
    error.facts = {"set_id": set_id, "runs": hello.get("set", NO_SET), "why": why}
    return error


def why_given_up(text: str) -> tuple[str, str]:
    """The last exception in what a board printed, and what to do about it; "" where unknown."""
    raised = list(RAISED.finditer(text.replace("\r", "")))
    if not raised:
        return "", ""
    kind, message = raised[-1]["kind"], raised[-1]["message"].strip()
    # Refused as it should be, its name says nothing; of another fault it is half of what is known.
    why = message if message and kind in ("BundleError", "ConfigError") else raised[-1][0].strip()
    remedy = next((do for words, do in REMEDIES if re.search(words, raised[-1][0])), "")
    return why, remedy


def _tail(text: str) -> str:
    return text.strip()[-TAIL_CHARS:]


def _errors(repl: Heard) -> list[str]:
    # What it has to say about itself comes between its greeting and what its first period brings.
    found = []
    for kind, what in repl.frames(PERIOD_S * repl.patience):
        if kind == "frame" and what["t"] == "log" and what.get("lvl") == "error":
            found.append(str(what.get("msg")))
        elif kind == "frame" and what["t"] not in ("hello", "log"):
            break
    return found
