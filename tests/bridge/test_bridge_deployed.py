"""deploy/: what the container file and the systemd unit name is there, and enough to start on."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from host.bridge.__main__ import parser
from tests.bridge.conftest import ROOT, Bridge, eventually

CONTAINERFILE = (ROOT / "deploy/Containerfile").read_text()
UNIT = ROOT / "deploy/fanwise-bridge.service"
ALONE = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"{{name}} is not in the base set", name=name)
sys.meta_path.insert(0, Blocker())
sys.path = [path for path in sys.path if not path.startswith({root!r})] + {site!r}
"""


def copied() -> list[str]:
    """What the container file copies out of the checkout."""
    lines = re.findall(r"^COPY (.+)$", CONTAINERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def instruction(name: str) -> list[str]:
    """The JSON list of an instruction of the container file."""
    found = re.search(rf"^{name} (\[.+\])", CONTAINERFILE, re.MULTILINE)
    assert found, name
    return json.loads(found[1])


def not_base() -> set[str]:
    """Packages installed here that the base set does not bring."""
    base = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements/base.lock").read_text(), re.M))
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in base}
    return {
        package
        for package, owners in packages_distributions().items()
        if not any(re.sub(r"[-_.]+", "-", owner).lower() in names for owner in owners)
    }


def test_the_build_context_lets_through_what_is_copied() -> None:
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    for source in copied():
        assert (ROOT / source).exists(), source
        parts = [each[1:] for each in let_through if each.startswith("!")]
        assert any(Path(source).match(part) for part in parts), source


def test_the_container_starts_on_what_it_copies(bridge: Bridge, tmp_path: Path) -> None:
    image = tmp_path / "opt"
    for source in copied():
        target = image / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
    assert {"numpy", "tensorflow", "pytest", "asyncua"} & not_base()
    site = [sysconfig.get_path("purelib")]
    alone = {"blocked": sorted(not_base()), "root": str(ROOT), "site": site}
    (tmp_path / "sitecustomize.py").write_text(ALONE.format(**alone))
    (tmp_path / "token").write_text("0123456789abcdef")
    toml = f"ports = ['/dev/ttyUSB9']\n[web]\ntoken_file = '{tmp_path}/token'\n[mqtt]\n"
    toml += "embedded = true\nembedded_port = 0\n[modbus]\nlisten = '127.0.0.1:0'\n"
    (tmp_path / "bridge.toml").write_text(toml)
    here = {
        "python": sys.executable,
        "/etc/fanwise/bridge.toml": str(tmp_path / "bridge.toml"),
        "/var/lib/fanwise/fanwise.db": str(bridge.store),
        "0.0.0.0:8080": f"127.0.0.1:{bridge.port}",
    }
    command = [here.get(word, word) for word in instruction("ENTRYPOINT") + instruction("CMD")]
    bridge.start(command=command, cwd=image, path=str(tmp_path))
    assert bridge.request("/")[1].lstrip().startswith("<!doctype html>")
    assert bridge.request("/static/js/main.js")[0] == 200
    login = {"Authorization": "Bearer 0123456789abcdef"}
    assert bridge.get("/api/boards", **login)["boards"] == []
    assert "fanwise_store_up 1.0" in bridge.get("/metrics", **login)
    assert bridge.get("/install/boards.json", **login)["boards"]
    check = [here.get(word, word) for word in instruction(r"HEALTHCHECK[^\[]*CMD")]
    check[-1] = check[-1].replace("8080", str(bridge.port))
    eventually(lambda: subprocess.run(check, timeout=60).returncode == 0)
    bridge.stop()


def unit() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))


def test_the_unit_names_what_there_is() -> None:
    words = shlex.split(unit()["ExecStart"])
    assert words[:3] == ["/opt/fanwise/.venv/bin/python", "-m", "host.bridge"]
    flags = parser().parse_args(words[3:])
    assert flags.store == f"/var/lib/{unit()['StateDirectory']}/fanwise.db"
    assert (ROOT / unit()["Documentation"].removeprefix("file:/opt/fanwise/")).is_file()
    for path in unit()["Environment"].partition("=")[2].split(":"):
        assert path.startswith("/opt/fanwise")
        assert (ROOT / path.removeprefix("/opt/fanwise").lstrip("/")).is_dir()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_the_unit_is_one_to_systemd(tmp_path: Path) -> None:
    # It wants the program to be there; the rest is as it is.
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/fanwise/.venv/bin/python", sys.executable))
    command = ["systemd-analyze", "verify", "--man=no", str(copy)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    complaints = [line for line in found.stderr.splitlines() if UNIT.name in line]
    assert complaints == []
