"""Make `.venv` from the hash-pinned lock a verb needs, then hand over to invoke.

Standard library only: it runs before anything is installed. Sets contain one another: base (bridge,
simulation) in boards (esptool), in training (TensorFlow, SHAP), in dev (tests); opcua lies between
base and dev. A stamp with the lock's hash is written only after pip succeeded, so an interrupted
install is taken up again.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOG = ROOT / ".cache" / "install.log"
# Set: itself and those that contain it.
SETS = {
    "base": ("base", "opcua", "boards", "training", "dev"),
    "opcua": ("opcua", "dev"),
    "boards": ("boards", "training", "dev"),
    "training": ("training", "dev"),
    "dev": ("dev",),
}
NEEDS_DEV = {"test", "check"}
NEEDS_BOARDS = {"flash"}
NEEDS_TRAINING = {"train", "bench", "report"}


class InstallError(Exception):
    """The environment could not be made; the message says what to do."""


def needed_set(argv: list[str]) -> str:
    """The smallest set of packages the verb in `argv` runs with."""
    verb = next((word for word in argv if not word.startswith("-")), "")
    if verb in NEEDS_DEV:
        return "dev"
    if verb in NEEDS_TRAINING or (verb == "demo" and "--no-train" not in argv):
        return "training"
    if verb in NEEDS_BOARDS:
        return "boards"
    if verb == "bridge" and any(word.startswith("--opcua") for word in argv):
        return "opcua"
    return "base"


def venv_python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def lock_hash(name: str) -> str:
    lock = (ROOT / "requirements" / f"{name}.lock").read_bytes()
    return hashlib.sha256(lock + sys.version.encode()).hexdigest()


def installed(name: str) -> bool:
    """Whether the set, or a larger one, is installed from the lock as it is now."""
    stamps = [(VENV / f".{each}.lock-sha256", each) for each in SETS[name]]
    return any(s.exists() and s.read_text() == lock_hash(each) for s, each in stamps)


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two `./run` at once must not install into the same folder."""
    LOG.parent.mkdir(exist_ok=True)
    with (LOG.parent / "install.lock").open("w") as handle:
        try:
            import fcntl
        except ImportError:  # Windows: installing twice at once is the user's to avoid
            yield
            return
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def show(line: str, done: bool = False) -> None:
    """One progress line, rewritten in place on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}" + ("\n" if done else ""))
    elif done:
        sys.stderr.write(line + "\n")
    sys.stderr.flush()


def pip_install(name: str) -> None:
    lock = ROOT / "requirements" / f"{name}.lock"
    total = sum(1 for line in lock.read_text().splitlines() if line[:1].isalnum())
    command = [str(venv_python()), "-m", "pip", "install", "--require-hashes", "-r", str(lock)]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    start, seen, tail = time.monotonic(), 0, [""]
    if not sys.stderr.isatty():
        show(f"environment: installing {total} packages ({name} set, once) ...", done=True)
    with LOG.open("w") as log:
        pip = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        assert pip.stdout is not None
        for line in pip.stdout:
            log.write(line)
            tail = [*tail[-30:], line.strip()]
            if line.startswith(("Collecting ", "Requirement already")):
                seen += 1
            stage = "unpacking" if line.startswith("Installing") else line.split(" (")[0].strip()
            if not line.startswith(" ") and "WARNING" not in line:
                bar = "█" * (20 * min(seen, total) // total)
                show(f"environment [{bar:░<20}] {min(seen, total)}/{total} {stage[:50]}")
        code = pip.wait()
    if code:
        errors = [line for line in tail if line.startswith("ERROR")] or tail[-3:]
        raise InstallError(
            f"environment: pip could not install the {name} set:\n  "
            + "\n  ".join(errors[:4])
            + "\n  Check the network (or PIP_INDEX_URL, PIP_FIND_LINKS for a mirror) and call ./run"
            f" again; the whole log: {LOG.relative_to(ROOT)}"
        )
    show(f"environment: {name} set installed in {time.monotonic() - start:.0f} s", done=True)


def ensure_environment(name: str) -> None:
    """Make `.venv` hold the set `name`. Raises InstallError with the next step."""
    if installed(name):
        return
    with one_at_a_time():
        if installed(name):
            return
        try:
            healthy = (
                venv_python().exists()
                and not subprocess.run(
                    [str(venv_python()), "-m", "pip", "--version"], capture_output=True
                ).returncode
            )
            if not healthy:
                show("environment: making .venv ...", done=True)
                venv.EnvBuilder(with_pip=True, clear=True).create(VENV)
        except (OSError, subprocess.CalledProcessError) as error:
            raise InstallError(
                f"environment: cannot make {VENV}: {error}\n"
                "  Python's venv and ensurepip are needed; on Debian and Ubuntu: "
                f"apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
            ) from error
        pip_install(name)
        (VENV / f".{name}.lock-sha256").write_text(lock_hash(name))


def put_checkout_on_path() -> None:
    """The project runs from its checkout, wherever that is; board code keeps its name here."""
    site = next((VENV / "lib").glob("python*/site-packages"), VENV / "Lib" / "site-packages")
    path, text = site / "fanwise.pth", f"{ROOT}\n{ROOT / 'firmware'}\n"
    try:
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    except OSError as error:
        raise InstallError(f"environment: cannot write {path}: {error}") from error


def main(argv: list[str]) -> int:
    if Path(sys.prefix) == VENV:  # called from an activated .venv: it cannot remake itself
        return subprocess.run([sys._base_executable, __file__, *argv]).returncode  # type: ignore[attr-defined]
    ensure_environment(needed_set(argv))
    put_checkout_on_path()
    os.chdir(ROOT)
    command = [str(venv_python()), "-m", "host.start", "invoke", *(argv or ["--list"])]
    if os.name != "nt":
        os.execv(command[0], command)
    return subprocess.run(command).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InstallError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nrun: interrupted; call ./run again to go on where it stopped", file=sys.stderr)
        sys.exit(130)
