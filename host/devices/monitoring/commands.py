"""What a person types at the prompt, as a command for the board.

    override on 10m       fan on for ten minutes, whatever model and limit say
    override off 1h30m    fan off; the trip point and a lost sensor still win
    override clear        back to automatic
    explain last          why the fan is what it is
    self-test             do the models compute what they should?
    rebirth               who are you?
    limit 42.5            another limit, in degrees Celsius, until the next start
    ping, reboot

The board checks its bounds again; what is checked here is what a person can get wrong.
"""

import difflib
import re
from dataclasses import dataclass, field

MAX_OVERRIDE_S = 86_400
LIMIT_C = (-50.0, 150.0)
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
DURATIONS = ("1m", "10m", "30m", "1h", "8h")
LOCAL = ("help", "quit")

# What may follow what, for completion and for saying what was expected.
GRAMMAR: dict[str, tuple[str, ...]] = {
    "": (
        "override", "explain", "self-test", "rebirth", "ping", "limit", "auto", "reboot", *LOCAL,
    ),
    "override": ("on", "off", "clear"),
    "override on": DURATIONS,
    "override off": DURATIONS,
    "explain": ("last",),
}  # fmt: skip

HELP = __doc__.split("\n\n")[1] + "\n    help, quit (or Ctrl-D)"


class PromptError(ValueError):
    """Not a command; the message says what was expected."""


@dataclass(frozen=True)
class Command:
    """`name` and `args` of a `cmd` frame (docs/frames.md), or one of LOCAL with no frame."""

    name: str
    args: dict[str, int] = field(default_factory=dict)

    @property
    def local(self) -> bool:
        return self.name in LOCAL


def parse(text: str) -> Command:
    """Raises PromptError."""
    words = text.lower().split()
    if not words:
        raise PromptError("a command is needed; help lists them")
    head, rest = words[0], words[1:]
    if head == "override":
        return _override(rest)
    if head in ("limit", "set_limit", "set-limit"):
        return _limit(rest)
    if head == "explain":
        if rest not in ([], ["last"]):
            raise PromptError("explain: only the last decision can be explained: explain last")
        return Command("explain")
    head = head.replace("_", "-")
    if head not in GRAMMAR[""]:
        close = difflib.get_close_matches(head, GRAMMAR[""], n=1)
        hint = f", did you mean {close[0]}?" if close else ";"
        raise PromptError(f"there is no command {head!r}{hint} there are: {', '.join(GRAMMAR[''])}")
    if rest:
        raise PromptError(f"{head} takes nothing after it")
    return Command(head)


def duration_s(text: str) -> int:
    """Seconds of "90", "90s", "10m", "1h30m". Raises PromptError."""
    parts = re.findall(r"(\d{1,9})([smhd]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise PromptError(f"{text!r} is no duration; give one like 90s, 10m, 1h30m or 1d")
    if len(parts) > 1 and not all(unit for _, unit in parts):
        raise PromptError(f"{text!r}: each number needs a unit: s, m, h or d")
    total = sum(int(number) * UNITS_S[unit or "s"] for number, unit in parts)
    if not 1 <= total <= MAX_OVERRIDE_S:
        raise PromptError(f"{text}: from 1 s to 1 d is possible")
    return total


def complete(text: str) -> list[str]:
    """What the last word of `text` may become."""
    *before, last = text.lower().split(" ")
    following = GRAMMAR.get(" ".join(word for word in before if word), ())
    return [word for word in following if word.startswith(last)]


def _override(rest: list[str]) -> Command:
    if rest in (["clear"], ["auto"]):
        return Command("auto")
    if not rest or rest[0] not in ("on", "off"):
        raise PromptError("override: on, off or clear is needed, as in: override on 10m")
    if len(rest) < 2:
        raise PromptError(f"override {rest[0]}: for how long? As in: override {rest[0]} 10m")
    seconds = duration_s("".join(rest[2:] if rest[1] == "for" else rest[1:]))
    return Command("override", {"fan": int(rest[0] == "on"), "for_s": seconds})


def _limit(rest: list[str]) -> Command:
    text = "".join(rest).removesuffix("c").removesuffix("°")
    try:
        limit_c = float(text)
    except ValueError:
        limit_c = float("nan")
    if not LIMIT_C[0] <= limit_c <= LIMIT_C[1]:
        raise PromptError("limit: a temperature in degrees Celsius is needed, as in: limit 42.5")
    return Command("set_limit", {"limit_mc": round(limit_c * 1000)})
