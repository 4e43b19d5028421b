"""OPC UA against asyncua's own client: readings, events, methods by role, who is let in."""

import asyncio
import contextlib
import gc
import importlib.util
import os
import signal
import socket
import stat
import struct
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from host.gateways import opcua_map, opcua_settings
from host.gateways.opcua import _in_the_background
from tests.bridge.conftest import ROOT, Bridge, eventually, refused
from tests.bridge.fake_board import FakeBoard
from tests.bridge.ports import free_port
from tests.bridge.waiting import PATIENCE_S

needs_asyncua = pytest.mark.skipif(
    importlib.util.find_spec("asyncua") is None, reason="asyncua is not installed"
)
TOKENS = {name: f"{name}-token-0123456789" for name in ("vera", "otto")}
REFUSED = "opcua login refused"
ROLES = {"vera": "viewer", "otto": "operator"}
CASES = [
    ("[opcua]\nlisten = '4840'", "HOST:PORT"),
    ("[opcua]\nlisten = '0.0.0.0:4840'", "[[users]]"),
    ("[opcua]\nlogin_required = true", "[[users]]"),
    ("[opcua]\ncert_file = '/none'", "/none: no such file"),
    ("[opcua]\ncert_file = '/dev/null'", "belong together"),
    ("[opcua]\npassword = 'x'", '"password" is no setting'),
]


@pytest.mark.parametrize(("toml", "words"), CASES)
def test_wrong_settings(tmp_path: Path, toml: str, words: str) -> None:
    found = refused(tmp_path, toml).problems
    assert any(words in problem for problem in found), found


def test_without_the_package_the_next_step_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua_settings, "PACKAGE", "asyncua_is_not_here")
    found = refused(tmp_path, "[opcua]").problems
    assert any("./run bridge --opcua" in each and "opcua.lock" in each for each in found), found


def test_the_docs_have_the_variables() -> None:
    text = (ROOT / "docs" / "opcua.md").read_text()
    assert "\n".join(opcua_map.table()) in text
    for name, fields in opcua_map.EVENTS.items():
        assert f"`{name}`: " + ", ".join(f"`{field}`" for field in fields) in text


@pytest.mark.parametrize("fails", [False, True])
def test_a_start_in_the_background_leaves_the_interpreter_as_it_was(fails: bool) -> None:
    """But for what it made, which is not looked through for garbage; after a failure it is."""
    before, frozen = (sys.getswitchinterval(), gc.isenabled()), gc.get_freeze_count()
    with contextlib.suppress(OSError), _in_the_background():
        assert sys.getswitchinterval() < before[0]
        assert not gc.isenabled()
        if fails:
            raise OSError
    assert (sys.getswitchinterval(), gc.isenabled()) == before
    assert (gc.get_freeze_count() > frozen) == (not fails)
    gc.unfreeze()


@needs_asyncua
@pytest.mark.parametrize(
    ("form", "passphrase", "usable"),
    [("PEM", b"", True), ("DER", b"", True), ("PEM", b"hush", False), ("", b"", False)],
)
def test_private_keys(tmp_path: Path, form: str, passphrase: bytes, usable: bool) -> None:
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import rsa

    from host.gateways.opcua_certificate import private_key

    key = rsa.generate_private_key(65537, 2048)
    closed = forms.BestAvailableEncryption(passphrase) if passphrase else forms.NoEncryption()
    data = b"no key"
    if form:
        data = key.private_bytes(getattr(forms.Encoding, form), forms.PrivateFormat.PKCS8, closed)
    file = tmp_path / "key"
    file.write_bytes(data)
    if usable:
        assert private_key(file).public_key() == key.public_key()
    else:
        with pytest.raises((ValueError, TypeError)):
            private_key(file)


class Plant:
    """One bridge with OPC UA and users, its board, and the way to it."""

    def __init__(self, folder: Path, board: FakeBoard) -> None:
        self.board = board
        self.port = free_port()
        self.settings = folder / "b.toml"
        self.bridge = Bridge(folder)
        for name, token in TOKENS.items():
            (folder / name).write_text(token)

    def write(self, host: str = "127.0.0.1") -> None:
        users = "".join(
            f"[[users]]\nname = '{name}'\nrole = '{role}'\n"
            f"token_file = '{self.bridge.folder / name}'\n"
            for name, role in ROLES.items()
        )
        listen = f"[opcua]\nlisten = '{host}:{self.port}'\n"
        self.settings.write_text(listen + users)

    def ready(self, times: int = 1) -> None:
        eventually(lambda: self.said("opcua ready") >= times, 200, "OPC UA is ready")

    def said(self, words: str) -> int:
        return self.bridge.log.read_text().count(words)

    @contextlib.asynccontextmanager
    async def client(self, user: str = "", token: str = "", policy: str = "") -> AsyncIterator[Any]:
        client = asyncua.Client(f"opc.tcp://127.0.0.1:{self.port}", timeout=PATIENCE_S)
        if policy:
            certificate = await self.certificate()
            await client.set_security_string(f"{policy},SignAndEncrypt,{certificate}")
        if user:
            client.set_user(user)
            client.set_password(token or TOKENS[user])
        async with client:
            yield client

    async def certificate(self) -> str:
        from asyncua.crypto.cert_gen import setup_self_signed_certificate
        from cryptography.x509.oid import ExtendedKeyUsageOID

        cert, key = self.bridge.folder / "client.der", self.bridge.folder / "client.pem"
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
        await setup_self_signed_certificate(key, cert, "urn:test:client", "localhost", uses, {})
        return f"{cert},{key}"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    # Here, because the import takes seconds and collecting tests need not.
    global asyncua, ua
    import asyncua
    from asyncua import ua

    folder = tmp_path_factory.mktemp("opcua")
    with FakeBoard(folder / "board", "box-one", boot=7) as board:
        made = Plant(folder, board)
        made.write()
        try:
            made.bridge.start("--config", str(made.settings), "--port", str(board.path), wait=False)
            made.ready()
            yield made
            assert made.bridge.process
            assert made.bridge.process.poll() is None
            made.bridge.stop()
        finally:
            made.bridge.end()
        assert made.said("Traceback") == 0, made.bridge.log.read_text()
        assert not any(made.said(token) for token in TOKENS.values())


asyncua: Any
ua: Any


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 4 * PATIENCE_S))


async def soon(check: Any) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await check()):
            await asyncio.sleep(0.05)
    return found


async def board_of(client: Any) -> Any:
    index = await client.get_namespace_index(opcua_map.NAMESPACE)
    return await soon(lambda: _child(client.nodes.objects, f"{index}:Fanwise", f"{index}:box-one"))


async def _child(node: Any, *path: str) -> Any:
    try:
        return await node.get_child(list(path))
    except ua.UaError:
        return None


class Heard:
    """What a subscription brings."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.events: list[Any] = []

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        self.values.append(value)

    def event_notification(self, event: Any) -> None:
        self.events.append(event)


@needs_asyncua
def test_readings_units_and_events(plant: Plant) -> None:
    async def look() -> None:
        async with plant.client() as client:
            board = await board_of(client)
            index = board.nodeid.NamespaceIndex

            async def value(name: str) -> Any:
                return await client.get_node(f"ns={index};s=box-one.{name}").read_data_value(False)

            plant.board.tel(case_mc=44310, ambient_mc=None, fan=1)

            async def there() -> bool:
                return (await value("FanOn")).Value.Value is True

            await soon(there)
            case, ambient = await value("CaseTemperature"), await value("AmbientTemperature")
            assert (case.Value.Value, case.Value.VariantType) == (44.31, ua.VariantType.Double)
            assert ambient.StatusCode.value == ua.StatusCodes.BadNoData
            unit = await (await board.get_child(
                [f"{index}:CaseTemperature", "0:EngineeringUnits"]
            )).read_value()  # fmt: skip
            assert (unit.UnitId, unit.DisplayName.Text) == (4408652, "°C")
            with pytest.raises(ua.UaStatusCodeError):
                await client.get_node(f"ns={index};s=box-one.FanOn").write_value(False)

            heard, types = Heard(), []
            for name in opcua_map.EVENTS:
                types.append(await client.nodes.base_event_type.get_child(f"{index}:{name}"))
            subscription = await client.create_subscription(1, heard)
            node = client.get_node(f"ns={index};s=box-one.CaseTemperature")
            await subscription.subscribe_data_change(node)
            await subscription.subscribe_events(client.nodes.server, types)
            plant.board.tel(case_mc=20000)
            plant.board.decide(why="Fan on because it is hot", ask=1, set=1)
            plant.board.durable("alarm", kind="fan", on=1, why="The fan stands still", val=0)

            async def all_heard() -> bool:
                return 20.0 in heard.values and len(heard.events) == 2

            await soon(all_heard)
            decision, alarm = sorted(heard.events, key=lambda each: each.Severity)
            assert decision.Message.Text == "Fan on because it is hot"
            assert (decision.Device, decision.Boot, decision.FanOn) == ("box-one", 7, True)
            assert decision.SourceName == "box-one"
            assert '"rule": "forecast"' in decision.Record
            assert (alarm.Kind, alarm.Active, alarm.Severity) == ("fan", True, 800)

            async def alarmed() -> bool:
                return (await value("Alarms")).Value.Value == ["fan"]

            await soon(alarmed)

    run(look())


@needs_asyncua
def test_methods_by_role(plant: Plant) -> None:
    def given(fan: Any = True, seconds: Any = 60) -> list[Any]:
        return [ua.Variant(fan, ua.VariantType.Boolean), ua.Variant(seconds, ua.VariantType.UInt32)]

    async def call(client: Any, name: str, *arguments: Any) -> int:
        board = await board_of(client)
        method = f"{board.nodeid.NamespaceIndex}:{name}"
        try:
            await board.call_method(method, *arguments)
        except ua.UaStatusCodeError as error:
            return error.code
        return ua.StatusCodes.Good

    async def look() -> None:
        codes = ua.StatusCodes
        eventually(lambda: "online" in plant.bridge.log.read_text())
        async with plant.client("otto", policy="Basic256Sha256") as client:
            assert await call(client, "Override", *given()) == codes.Good
            assert await call(client, "Auto") == codes.Good
            assert await call(client, "Override", *given(seconds=0)) == codes.BadOutOfRange
            assert await call(client, "Override", True, 60) == codes.BadTypeMismatch
            assert await call(client, "Override") == codes.BadArgumentsMissing
            assert await call(client, "Auto", 1) == codes.BadTooManyArguments
        for user in ("vera", ""):
            async with plant.client(user) as client:
                assert await call(client, "Override", *given()) == codes.BadUserAccessDenied
        for user, token in (("otto", "wrong" * 5), ("otto", TOKENS["vera"]), ("nobody", "x" * 20)):
            with pytest.raises(ua.UaStatusCodeError) as refused:
                async with plant.client(user, token):
                    pass
            assert refused.value.code == codes.BadUserAccessDenied

    refused_before, asked_before = plant.said(REFUSED), len(plant.board.commands("override"))
    run(look())
    asked = [f["args"] for f in plant.board.commands("override")[asked_before:]]
    assert asked == [{"fan": 1, "for_s": 60}]
    ask = {"Authorization": f"Bearer {TOKENS['vera']}"}
    audit = plant.bridge.get("/api/commands", **ask)["commands"]
    assert [(c["who"], c["source"], bool(c["ok"])) for c in audit[3::-1]] == [
        ("otto", "opcua", True), ("otto", "opcua", True),
        ("vera", "opcua", False), ("anonymous", "opcua", False),
    ]  # fmt: skip
    assert plant.said(REFUSED) - refused_before == 3


@needs_asyncua
def test_the_key_is_ours_alone(plant: Plant) -> None:
    key = plant.bridge.folder / "opcua-key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def endless(sock: socket.socket) -> None:
    for _ in range(2000):
        sock.sendall(bytes(65536))


@needs_asyncua
def test_a_message_without_end_ends_the_connection(plant: Plant) -> None:
    with socket.create_connection(("127.0.0.1", plant.port), PATIENCE_S) as sock:
        sock.sendall(b"MSGF" + struct.pack("<I", 0x7FFFFFFF) + bytes(100))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            endless(sock)
    for junk in (os.urandom(4000), b"HELF\x08\0\0\0", b"OPNF\xff\0\0\0" + bytes(300)):
        with socket.create_connection(("127.0.0.1", plant.port), PATIENCE_S) as sock:
            sock.sendall(junk)


@needs_asyncua
def test_elsewhere_everybody_logs_in_and_encrypts(plant: Plant) -> None:
    """Last: it restarts the server, with the settings SIGHUP reads."""
    ready_before = plant.said("opcua ready")
    plant.write(host="0.0.0.0")
    assert plant.bridge.process
    os.kill(plant.bridge.process.pid, signal.SIGHUP)
    plant.ready(ready_before + 1)

    async def look() -> None:
        async with plant.client("vera", policy="Aes256Sha256RsaPss") as client:
            await board_of(client)
        for user, policy in (("vera", ""), ("", "Basic256Sha256"), ("", "")):
            with pytest.raises((ua.UaError, ConnectionError)):
                async with plant.client(user, policy=policy):
                    pass

    run(look())
