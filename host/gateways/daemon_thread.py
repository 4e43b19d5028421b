"""Work that may block for long, in a thread that nobody waits for when the bridge ends.

The threads of `asyncio.to_thread` are waited for at the end of the event loop: a server that never
answers would hold up the end of the bridge.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def in_daemon_thread(name: str, work: Callable[[], T]) -> T:
    """What `work` returns or raises. Cancelled, it leaves `work` to itself."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[Any], None], outcome: Any) -> None:
        if not done.done():
            settle(outcome)

    def run() -> None:
        told: tuple[Callable[[Any], None], Any]
        try:
            told = done.set_result, work()
        except Exception as error:
            told = done.set_exception, error
        try:
            loop.call_soon_threadsafe(tell, *told)
        except RuntimeError:
            pass  # the bridge has ended

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
