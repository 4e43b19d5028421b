"""Becomes a board's VM: `python launch.py BUS_FD PARENT_PID COMMAND...`, in a new session on its
terminal.
"""

import ctypes
import fcntl
import os
import signal
import sys
import termios

PR_SET_PDEATHSIG = 1
BUS = 3

bus, parent = int(sys.argv[1]), int(sys.argv[2])
# The terminal turns Ctrl-C into a signal for this session; until the VM listens it is ignored.
signal.signal(signal.SIGINT, signal.SIG_IGN)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
os.dup2(bus, BUS)
os.closerange(BUS + 1, 256)
os.execv(sys.argv[3], sys.argv[3:])
