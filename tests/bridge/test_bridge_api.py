"""The API as its description says, whatever is asked; exports as spreadsheets read them."""

import csv
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from starlette.routing import Route

from host.gateways.web import app, openapi
from host.gateways.web.settings import WebConfig
from tests.bridge.conftest import Bridge, eventually
from tests.bridge.fake_board import FakeBoard, decision

TOKEN = "a-long-enough-token"
SCHEMATHESIS = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
# Raised for a long run: FANWISE_API_EXAMPLES=2000 pytest tests/bridge/test_bridge_api.py
EXAMPLES = os.environ.get("FANWISE_API_EXAMPLES", "3")


@pytest.fixture
def filled(bridge: Bridge, board: FakeBoard, tmp_path: Path) -> Bridge:
    (tmp_path / "token").write_text(TOKEN)
    file = tmp_path / "bridge.toml"
    file.write_text(f"[web]\ntoken_file = '{tmp_path / 'token'}'\n[store]\ntelemetry_every_s = 1\n")
    bridge.start("--config", str(file), "--port", str(board.path))
    eventually(lambda: board.commands("rebirth"))
    board.tel()
    board.decide(why='=1+1, "quoted"\nand broken')
    board.decide(phi=None)
    phi = decision()["phi"]
    names = ["=HYPERLINK(0)" if name == "power_mw" else name for name in phi["names"]]
    board.decide(phi={**phi, "names": names})
    board.durable("alarm", kind="fan", on=1, why="it stands still", val=0)
    eventually(lambda: not board.queue)
    return bridge


def test_every_route_of_the_api_is_described() -> None:
    routes = app.make_app(Mock(), WebConfig(), Mock()).routes
    served = {
        (re.sub(r":int", "", route.path), method.lower())
        for route in routes
        if isinstance(route, Route) and route.path.startswith("/api/")
        for method in (route.methods or set()) - {"HEAD"}
    }
    paths = openapi.description()["paths"]
    described = {(path, method) for path, kinds in paths.items() for method in kinds}
    assert served - described == {("/api/openapi.json", "get")}
    assert {path for path, _ in described - served} <= {"/health", "/ready", "/metrics", "/events"}


@pytest.mark.skipif(not SCHEMATHESIS, reason="schemathesis is not installed")
def test_it_does_what_its_description_says(filled: Bridge, tmp_path: Path) -> None:
    command = [str(SCHEMATHESIS), "run", f"{filled.url}/api/openapi.json"]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--max-examples", EXAMPLES]
    command += ["--phases", "coverage,fuzzing", "--seed", "1", "--no-color"]
    # A session's token is not for programs, and these send none: the bearer token does.
    command += ["--exclude-checks", "ignored_auth"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=280)
    assert done.returncode == 0, done.stdout[-6000:]
    assert filled.process
    assert filled.process.poll() is None
    assert "Traceback" not in filled.log.read_text()


def rows(bridge: Bridge, path: str) -> list[dict[str, str]]:
    status, text = bridge.request(path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert status == 200
    return list(csv.DictReader(io.StringIO(text)))


def test_exports(filled: Bridge, board: FakeBoard) -> None:
    third, second, first = rows(filled, "/api/decisions.csv")
    assert first["why"] == '\'=1+1, "quoted" and broken'
    assert (first["case_c"], first["power_w"], first["set"]) == ("44.31", "5.12", "1")
    assert first["contributions"].startswith("power_mw +0.82")
    assert first["contributions_unit"] == "K"
    # Names come from the board: none becomes a formula.
    assert third["contributions"].startswith("'=HYPERLINK(0) +0.82")
    assert second["contributions"] == ""
    assert rows(filled, "/api/decisions.csv?device=other") == []

    def kept() -> bool:
        board.tel()
        return bool(rows(filled, "/api/telemetry.csv?device=box-one"))

    eventually(kept)
    reading = rows(filled, "/api/telemetry.csv?device=box-one")[0]
    assert (reading["case_c"], reading["fan"]) == ("44.31", "0")
    for wrong in ("telemetry.csv", "decisions.csv?limit=0", "decisions.csv?device=A+B"):
        status, _ = filled.request(f"/api/{wrong}", headers={"Authorization": f"Bearer {TOKEN}"})
        assert status == 400, wrong
