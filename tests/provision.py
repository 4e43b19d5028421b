"""Bring in the real peers the tests talk to, from the system's package manager when it may, and
make the VMs they run boards on.

What cannot be had is no error here: its tests skip and say why, and in CI that skip is red.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from host.simulation.errors import VmError
from host.simulation.vm import cache, ensure_vm
from host.simulation.vm.provision import distribution_vm

# program -> Debian package. Brokers live in sbin, which is not on everybody's PATH.
PEERS = {
    "mosquitto": "mosquitto",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "promtool": "prometheus",
    "mbpoll": "mbpoll",
}
SBIN = ("/usr/sbin", "/usr/local/sbin")


def find_peer(program: str) -> str | None:
    """Path of a peer's program, or None."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *SBIN]))


def _apt(*words: str) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", "-qq", *words], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        print(f"provision: apt-get {words[0]}: {last}", file=sys.stderr)
    return done.returncode == 0


def provision() -> None:
    missing = [package for program, package in PEERS.items() if not find_peer(program)]
    if not missing:
        return
    if not (shutil.which("apt-get") and os.geteuid() == 0):
        print(
            f"provision: not installed: {', '.join(missing)}; their tests will skip. "
            f"To run them: sudo apt install {' '.join(missing)}",
            file=sys.stderr,
        )
        return
    print(f"provision: installing {', '.join(missing)} ...", file=sys.stderr)
    fresh_lists = any(Path("/var/lib/apt/lists").glob("*Packages*"))
    install = ("install", "-y", "--no-install-recommends", *missing)
    if not (fresh_lists and _apt(*install)) and _apt("update"):
        _apt(*install)


def say(line: str) -> None:
    print(f"provision: {line}", file=sys.stderr)


def make_vms() -> None:
    """Now: downloading and building may take longer than any test is given."""
    for make in (ensure_vm, lambda say: distribution_vm(cache.CACHE, say)):
        try:
            make(say)
        except VmError as error:
            say(str(error))


if __name__ == "__main__":
    provision()
    make_vms()
