"""One editable line: keys in, text and cursor out. Pure; the screen draws it."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_LENGTH = 120
MAX_HISTORY = 100

# What terminals send for keys; unknown sequences are dropped.
SEQUENCES = {
    "\x1b[D": "left", "\x1b[C": "right", "\x1b[A": "up", "\x1b[B": "down",
    "\x1bOD": "left", "\x1bOC": "right", "\x1bOA": "up", "\x1bOB": "down",
    "\x1b[H": "home", "\x1b[F": "end", "\x1b[1~": "home", "\x1b[4~": "end", "\x1b[3~": "delete",
    "\x01": "home", "\x05": "end", "\x02": "left", "\x06": "right", "\x10": "up", "\x0e": "down",
    "\x7f": "backspace", "\x08": "backspace", "\x15": "clear", "\x17": "word", "\x0b": "rest",
    "\r": "enter", "\n": "enter", "\t": "tab", "\x04": "quit",
}  # fmt: skip


@dataclass
class Editor:
    """`complete(text)` gives what its last word may become; `offered` are those left open."""

    complete: Callable[[str], list[str]]
    text: str = ""
    cursor: int = 0
    offered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._escape = ""
        self._history: list[str] = []
        self._at = 0

    def feed(self, data: bytes) -> list[str | None]:
        """Lines that were entered; None for Ctrl-D on an empty line."""
        done: list[str | None] = []
        for char in self._decoder.decode(data):
            key = self._key(char)
            if key in ("enter", "quit"):
                if key == "enter":
                    done.append(self._enter())
                elif not self.text:
                    done.append(None)
            elif key == "tab":
                self._complete()
            elif key:
                self._edit(key)
        return done

    def _key(self, char: str) -> str:
        if not self._escape and char != "\x1b":
            return SEQUENCES.get(char, char if char.isprintable() else "")
        if char == "\x1b":
            self._escape = char
            return ""
        self._escape += char
        opening = self._escape in ("\x1b[", "\x1bO")
        if opening or ((char.isdigit() or char == ";") and len(self._escape) < 8):
            return ""
        sequence, self._escape = self._escape, ""
        return SEQUENCES.get(sequence, "")

    def _enter(self) -> str:
        line = self.text.strip()
        if line and (not self._history or self._history[-1] != line):
            self._history = [*self._history, line][-MAX_HISTORY:]
        self._at = len(self._history)
        self._set("")
        return line

    def _set(self, text: str, cursor: int | None = None) -> None:
        self.text = text[:MAX_LENGTH]
        self.cursor = len(self.text) if cursor is None else cursor
        self.offered = []

    def _edit(self, key: str) -> None:
        before, after = self.text[: self.cursor], self.text[self.cursor :]
        if len(key) == 1:
            if len(self.text) < MAX_LENGTH:
                self._set(before + key + after, self.cursor + 1)
        elif key == "backspace":
            self._set(before[:-1] + after, max(0, self.cursor - 1))
        elif key == "delete":
            self._set(before + after[1:], self.cursor)
        elif key == "clear":
            self._set(after, 0)
        elif key == "rest":
            self._set(before)
        elif key == "word":
            kept = before.rstrip()[: before.rstrip().rfind(" ") + 1]
            self._set(kept + after, len(kept))
        elif key in ("up", "down"):
            self._recall(-1 if key == "up" else 1)
        else:
            moves = {"left": self.cursor - 1, "right": self.cursor + 1, "home": 0}
            self.cursor = min(len(self.text), max(0, moves.get(key, len(self.text))))

    def _recall(self, step: int) -> None:
        self._at = min(len(self._history), max(0, self._at + step))
        self._set(self._history[self._at] if self._at < len(self._history) else "")

    def _complete(self) -> None:
        if self.cursor < len(self.text):
            return
        found = self.complete(self.text)
        stem = self.text[: self.text.rfind(" ") + 1]
        last = self.text[len(stem) :]
        common = _common_start(found)
        if len(found) == 1:
            self._set(f"{stem}{found[0]} ")
        elif len(common) > len(last):
            self._set(stem + common)
        self.offered = found if len(found) > 1 else []


def _common_start(words: list[str]) -> str:
    if not words:
        return ""
    low, high = min(words), max(words)
    same = next((i for i, char in enumerate(low) if i >= len(high) or char != high[i]), len(low))
    return low[:same]
