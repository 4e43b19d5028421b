"""Three roles, each known by its token; what each may ask of a board, and the audit of it."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from host.bridge import audit
from host.bridge.commands import COMMANDS, Commands, allowed
from host.bridge.schema import SCHEMA_VERSION
from host.bridge.store import Store
from host.bridge.store_settings import StoreConfig
from host.bridge.users import Role, User, Users, Who
from host.bridge.writer import Writer
from tests.bridge.conftest import Bridge, eventually, refused
from tests.bridge.fake_board import FakeBoard
from tests.bridge.waiting import PATIENCE_S

TOKENS = {name: f"{name}-token-0123456789" for name in ("vera", "otto", "ada")}
ROLES = {"vera": "viewer", "otto": "operator", "ada": "admin"}

CASES = [
    ("[[users]]\nname = 'A b'\nrole = 'viewer'\ntoken_file = '{vera}'", "name"),
    ("[[users]]\nname = 'a'\nrole = 'king'\ntoken_file = '{vera}'", "viewer, operator, admin"),
    ("[[users]]\nname = 'a'\nrole = 'viewer'", "token_file"),
    ("[[users]]\nname = 'a'\nrole = 'viewer'\ntoken_file = '/none'", "/none"),
    ("[[users]]\nname = 'a'\nrole = 'viewer'\ntoken_file = '{short}'", "16 characters"),
    ("[[users]]\nname = 'a'\nrole = 'viewer'\npassword = 'x'\ntoken_file='{vera}'", '"password"'),
    ("[users]\nname = 'a'", "[[users]]"),
    (
        "[[users]]\nname = 'a'\ntoken_file = '{vera}'\n[[users]]\nname = 'b'\ntoken_file='{vera}'",
        "same token",
    ),
    ("[gateways.mine]\nmodule = 'no.such.module'", "no.such.module"),
    ("[gateways.mine]", "module"),
]


def write_tokens(folder: Path) -> dict[str, str]:
    for name, token in TOKENS.items():
        (folder / name).write_text(token + "\n")
    (folder / "short").write_text("short")
    return {name: str(folder / name) for name in (*TOKENS, "short")}


@pytest.mark.parametrize(("toml", "words"), CASES)
def test_wrong_users_are_named(tmp_path: Path, toml: str, words: str) -> None:
    error = refused(tmp_path, toml.format(**write_tokens(tmp_path)))
    assert any(words in problem for problem in error.problems), error.problems
    assert not any(token in str(error) for token in TOKENS.values())


def test_a_token_finds_its_user_and_hides() -> None:
    users = Users([User(name, Role.VIEWER, token) for name, token in TOKENS.items()])
    assert [users.by_token(token) for token in TOKENS.values()] == list(users.all)
    assert users.by_token("") is None
    assert users.by_token("vera-token-0123456788") is None
    assert "0123" not in repr(users.all)


def test_every_role_may_what_those_below_may() -> None:
    for name in COMMANDS:
        may = [allowed(name, role) for role in Role]
        assert may == sorted(may)
        assert may[-1]
        assert not may[0]


@pytest.fixture
def guarded(bridge: Bridge, board: FakeBoard, tmp_path: Path) -> Bridge:
    paths = write_tokens(tmp_path)
    tables = [
        f"[[users]]\nname = '{name}'\nrole = '{role}'\ntoken_file = '{paths[name]}'\n"
        for name, role in ROLES.items()
    ]
    file = tmp_path / "bridge.toml"
    file.write_text("".join(tables))
    bridge.start("--config", str(file), "--port", str(board.path))
    ask = {"Authorization": f"Bearer {TOKENS['vera']}"}
    eventually(lambda: bridge.get("/api/boards", **ask)["boards"])
    return bridge


def test_roles_over_the_api_and_in_the_audit(guarded: Bridge, board: FakeBoard) -> None:
    def give(user: str, name: str, **args: int) -> tuple[int, Any]:
        body = {"device": "box-one", "name": name, "args": args}
        return guarded.request("/api/commands", body, {"Authorization": f"Bearer {TOKENS[user]}"})

    assert guarded.request("/api/boards")[0] == 401
    for user, role in ROLES.items():
        session = guarded.get("/api/session", Authorization=f"Bearer {TOKENS[user]}")
        assert (session["user"], session["role"]) == (user, role)
    outcomes = {
        (user, name): give(user, name, **args)[1]["ok"]
        for user in ROLES
        for name, args in (("auto", {}), ("set_limit", {"limit_mc": 44000}))
    }
    assert outcomes == {
        ("vera", "auto"): False, ("vera", "set_limit"): False,
        ("otto", "auto"): True, ("otto", "set_limit"): False,
        ("ada", "auto"): True, ("ada", "set_limit"): True,
    }  # fmt: skip
    assert len(board.commands("set_limit")) == 1
    audit = guarded.get("/api/commands", Authorization=f"Bearer {TOKENS['vera']}")["commands"]
    assert {(each["who"], each["name"], bool(each["ok"])) for each in audit} == {
        (user, name, ok) for (user, name), ok in outcomes.items()
    }
    assert not any(token in guarded.log.read_text() for token in TOKENS.values())


def test_a_command_is_audited_though_who_asked_went_away(tmp_path: Path) -> None:
    async def ask() -> list[dict[str, Any]]:
        store = Store(tmp_path / "s.db")
        writer = Writer(store, StoreConfig(), lambda record: None)
        sent: list[dict[str, Any]] = []
        commands = Commands(lambda device, frame: not sent.append(frame), writer, store)
        who = Who("otto", Role.OPERATOR, "modbus")
        asking = asyncio.create_task(commands.request("box", "auto", {}, who))
        while not sent:
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        commands.answered("box", {"id": sent[0]["id"], "ok": True})
        while not (rows := await writer.call(audit.newest, store, 10)):
            await asyncio.sleep(0.01)
        await writer.drain()
        return rows

    (row,) = asyncio.run(asyncio.wait_for(ask(), PATIENCE_S))
    assert (row["who"], row["name"], bool(row["ok"])) == ("otto", "auto", True)


def test_a_store_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE commands DROP COLUMN who")
        db.execute("DROP TABLE notes")
        db.execute("PRAGMA user_version=1")
        db.execute(
            "INSERT INTO commands (at,source,device,txn,name,args,ok,msg) "
            "VALUES (1,'web','a','x','auto','{}',1,'')"
        )
    store = Store(path)
    assert [row["who"] for row in audit.newest(store, 10)] == [""]
    store.note("modbus", "box", "1")
    assert store.notes("modbus") == {"box": "1"}
    store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
