"""The audit: who asked what of which board, through what, and what came of it."""

import time
from typing import Any

from host.bridge.encoding import encode
from host.bridge.store import Store

COLUMNS = "at,source,who,device,txn,name,args,ok,msg"
NAMES = ("at", "source", "who", "device", "id", "name", "args", "ok", "msg")


def add(
    store: Store,
    source: str,
    who: str,
    device: str,
    txn: str,
    name: str,
    args: Any,
    ok: bool | None,
    msg: str,
) -> None:
    """One line. Raises StoreBusy."""
    row = (time.time(), source, who, device, txn, name, encode(args), ok, msg)
    sql = f"INSERT INTO commands ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)"
    store.transaction(lambda db: db.execute(sql, row))


def newest(store: Store, limit: int) -> list[dict[str, Any]]:
    """The newest lines first. Raises StoreBusy."""
    rows = store.read(f"SELECT {COLUMNS} FROM commands ORDER BY id DESC LIMIT ?", (limit,))
    return [dict(zip(NAMES, row, strict=True)) for row in rows]
