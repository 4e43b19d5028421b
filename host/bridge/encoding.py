"""Frames as the store keeps them: compact JSON, and a digest of what they say."""

import hashlib
import json
from typing import Any

_COMPACT: dict[str, Any] = {
    "ensure_ascii": False,
    "separators": (",", ":"),
    "allow_nan": False,
}
encode = json.JSONEncoder(**_COMPACT).encode
_sorted = json.JSONEncoder(**_COMPACT, sort_keys=True).encode


def body(frame: dict[str, Any]) -> tuple[str, bytes]:
    """What is kept of a frame, and the digest that tells a copy from another record.

    When is no part of what: a board may learn the time between two repeats of one record.
    """
    what = dict(frame)
    when = {key: what.pop(key) for key in ("at", "ms") if key in what}
    text = _sorted(what)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (f"{encode(when)[:-1]},{text[1:]}" if when else text), digest
