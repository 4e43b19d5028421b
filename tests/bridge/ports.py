"""Free TCP ports that nobody else takes before they are used.

Each process has a block of its own, below the ports the system gives to outgoing connections; as
long as it lives it holds the UDP port of that block's first number, which nothing here uses.
"""

import itertools
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

FIRST, BLOCK = 10_000, 100
SYSTEMS = Path("/proc/sys/net/ipv4/ip_local_port_range")

_held: dict[int, socket.socket] = {}
_numbers: Iterator[int] = iter(())


def free_port() -> int:
    """One that nobody listens on; the same comes again after all others of the block."""
    global _numbers
    if os.getpid() not in _held:
        _numbers = itertools.cycle(_block())
    for number in itertools.islice(_numbers, BLOCK):
        try:
            socket.create_server(("127.0.0.1", number)).close()
        except OSError:
            continue
        return number
    raise RuntimeError("somebody listens on every port of this process")


def _block() -> range:
    end = int(SYSTEMS.read_text().split()[0]) if SYSTEMS.exists() else 32_768
    starts = list(range(FIRST, max(end, FIRST + 50 * BLOCK) - BLOCK, BLOCK))
    for start in random.sample(starts, len(starts)):
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", start))
        except OSError:
            claim.close()
            continue
        _held.clear()
        _held[os.getpid()] = claim
        return range(start, start + BLOCK)
    raise RuntimeError("no block of ports is free")
