"""A durable frame on its way into the store, and out of it."""

from typing import Any, NamedTuple


class Incoming(NamedTuple):
    """A durable frame on its way into the store. `reason`: why it is kept aside, None if valid."""

    device: str
    boot: int
    seq: int
    frame: dict[str, Any]
    received: float
    reason: str | None = None


class Record(NamedTuple):
    id: int
    device: str
    boot: int
    seq: int
    kind: str
    at: int
    body: dict[str, Any]
