"""The bridge with a wall clock that jumps ten years ahead, and back, at each SIGUSR2."""

import signal
import sys
import time

from host.bridge.__main__ import main

TEN_YEARS_S = 10 * 365 * 86400.0
_real = time.time
_ahead_s = 0.0


def _jump(*_: object) -> None:
    global _ahead_s
    _ahead_s = 0.0 if _ahead_s else TEN_YEARS_S


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, _jump)
    time.time = lambda: _real() + _ahead_s
    sys.exit(main())
