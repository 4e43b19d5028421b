"""MicroPython from the Linux distribution's package archive, without being root.

apt works with private state directories and a copy of the machine's own source list in which only
the suite is another one; so mirrors, proxies and keyrings stay those of the machine, and apt checks
the signatures.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from host.simulation.errors import VmError

Progress = Callable[[str], None]

SOURCE_SUITES: dict[str, tuple[str, ...]] = {"debian": ("forky", "sid"), "ubuntu": ("devel",)}
BINARY_SUITES: dict[str, tuple[str, ...]] = {"debian": ("trixie",), "ubuntu": ("devel",)}
COMPONENTS = {"debian": "main", "ubuntu": "main universe"}
BINARY_PACKAGES = [
    "micropython",
    "libc6",
    "libffi8",
    "libgcc-s1",
    "libmbedcrypto16",
    "libmbedtls21",
    "libmbedx509-7",
]
APT_TIMEOUT_S = 300


def os_release() -> dict[str, str]:
    """The distribution's own description of itself; empty where there is none."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def own_entries(etc: Path, codename: str) -> list[dict[str, str]]:
    """The machine's apt sources for its own release: URIs and, where given, Signed-By."""
    entries = []
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        for block in path.read_text(errors="replace").split("\n\n"):
            fields = {}
            for line in block.splitlines():
                if ":" in line and not line.startswith(("#", " ", "\t")):
                    name, _, value = line.partition(":")
                    fields[name.strip()] = value.strip()
            if codename in fields.get("Suites", "").split() and fields.get("URIs"):
                entries.append({k: fields[k] for k in ("URIs", "Signed-By") if fields.get(k)})
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]:
        if not path.is_file():
            continue
        for line in path.read_text(errors="replace").splitlines():
            options = ""
            if "[" in line and "]" in line:
                head, _, rest = line.partition("[")
                options, _, tail = rest.partition("]")
                line = head + tail
            words = line.split("#")[0].split()
            if len(words) >= 3 and words[0] in ("deb", "deb-src") and words[2] == codename:
                entry = {"URIs": words[1]}
                for option in options.split():
                    if option.startswith("signed-by="):
                        entry["Signed-By"] = option.partition("=")[2]
                entries.append(entry)
    return entries


class Archive:
    """apt on another suite of the machine's own distribution, with its state in `folder`."""

    def __init__(
        self,
        folder: Path,
        kind: str,
        suites: dict[str, tuple[str, ...]],
        etc: Path = Path("/etc/apt"),
    ) -> None:
        if shutil.which("apt-get") is None:
            raise VmError("there is no apt-get here to download MicroPython with")
        release = os_release()
        names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
        distribution = next((name for name in names if name in suites), None)
        if distribution is None:
            raise VmError(
                f"no package archive with MicroPython is known for {names[0] or 'this system'}"
            )
        entries = own_entries(etc, release.get("VERSION_CODENAME", "?"))
        if not entries:
            raise VmError(f"{etc} lists no package archive of this machine's own release")
        self._folder = folder
        for name in ("lists.d", "state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._suites = suites[distribution]
        self._entries = [
            {"Types": kind, **entry, "Components": COMPONENTS[distribution]} for entry in entries
        ]

    def update(self) -> None:
        """Fetch the index of the first suite that has one. Raises VmError."""
        problem = VmError("there is no suite to ask")
        for suite in self._suites:
            blocks = [
                "".join(f"{name}: {value}\n" for name, value in {**entry, "Suites": suite}.items())
                for entry in self._entries
            ]
            (self._folder / "lists.d" / "fanwise.sources").write_text("\n".join(blocks))
            try:
                self.run("update")
                return
            except VmError as error:
                problem = error
        raise problem

    def run(self, command: str, *arguments: str, cwd: Path | None = None) -> str:
        """Run one apt-get command. Raises VmError with apt's own last error line."""
        options = [
            f"Dir::State={self._folder / 'state'}",
            f"Dir::Cache={self._folder / 'cache'}",
            "Dir::Etc::sourcelist=/dev/null",
            f"Dir::Etc::sourceparts={self._folder / 'lists.d'}",
            "Acquire::Languages=none",
            "Acquire::Retries=1",
            "Acquire::http::Timeout=15",
            f"APT::Sandbox::User={'root' if os.geteuid() == 0 else '_apt'}",
        ]
        flags = [part for option in options for part in ("-o", option)]
        try:
            done = subprocess.run(
                ["apt-get", "-q", *flags, command, *arguments],
                cwd=cwd or self._folder,
                capture_output=True,
                text=True,
                timeout=APT_TIMEOUT_S,
                env={**os.environ, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired as error:
            raise VmError(f"apt-get {command} did not end within {APT_TIMEOUT_S} s") from error
        said = done.stderr + done.stdout
        bad = [line for line in said.splitlines() if line.startswith(("E:", "W: Failed", "Err:"))]
        if done.returncode or (command == "update" and bad):
            reason = (bad or said.splitlines() or ["no message"])[-1]
            raise VmError(f"apt-get {command} failed (is there a network?): {reason}")
        return done.stdout


def download_source(folder: Path, into: Path, progress: Progress) -> Path:
    """Download the source package into `into`; returns the upstream tar file."""
    archive = Archive(folder, "deb-src", SOURCE_SUITES)
    progress("asking the package archive for MicroPython's source")
    archive.update()
    progress("downloading MicroPython's source (6 MB)")
    archive.run("source", "--download-only", "micropython", cwd=into)
    tars = sorted(into.glob("micropython_*.orig.tar.*z"))
    if not tars:
        raise VmError("the package archive's MicroPython source has no upstream tar file")
    return tars[-1]


def download_binary(folder: Path, into: Path, progress: Progress) -> tuple[str, ...]:
    """Unpack the distribution's own binary below `into`; returns the command that starts it."""
    if shutil.which("dpkg") is None:
        raise VmError("there is no dpkg here to unpack MicroPython with")
    archive = Archive(folder, "deb", BINARY_SUITES)
    progress("asking the package archive for MicroPython's binary")
    archive.update()
    progress("downloading MicroPython's binary (4 MB)")
    archive.run("download", *BINARY_PACKAGES, cwd=folder)
    for package in sorted(folder.glob("*.deb")):
        done = subprocess.run(["dpkg", "-x", str(package), str(into)], capture_output=True)
        if done.returncode:
            raise VmError(f"dpkg cannot unpack {package.name}: {done.stderr.decode().strip()}")
    return binary_command(into)


def binary_command(folder: Path) -> tuple[str, ...]:
    """How to start an unpacked binary with the libraries it was packed with."""
    program = folder / "usr" / "bin" / "micropython"
    loaders = [*folder.glob("usr/lib*/**/ld-linux*.so*"), *folder.glob("lib*/**/ld-linux*.so*")]
    libraries = sorted({str(path.parent) for path in folder.glob("**/*.so.*")})
    if not program.is_file() or not loaders:
        raise VmError(f"the package archive's MicroPython is not complete in {folder}")
    return (str(loaders[0]), "--library-path", ":".join(libraries), str(program))
