# mypy: disable-error-code="arg-type"
# asyncua has a class for each integer type of OPC UA, and takes plain ones.
"""asyncua's server with bounds where a client could make it grow, and with our users.

Imports asyncua, which takes seconds: only ever imported in the OPC UA thread.
"""

import asyncio
import hmac
import logging
import math
import secrets
import socket
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from asyncua import Server, ua
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import SimpleRoleRuleset, UserRole
from asyncua.crypto.permission_rules import User as UaUser
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession

from host.bridge.logs import event
from host.bridge.users import Role, User
from host.gateways.opcua_settings import OpcUaConfig

LOG = logging.getLogger("fanwise.opcua")
MAX_MESSAGE = 1 << 20
CHUNK = 65535
# A chunk announces its length before it comes, so it is held back until it is whole.
MAX_HELD = 4 * CHUNK
ACTIVATE_S = 10.0
MAX_PER_CONNECTION = 2
MAX_SUBSCRIPTIONS = 100
MAX_ITEMS = 10_000
MAX_CALLS = 16
FASTEST_PUBLISH_MS = 100.0
MAX_SHOWN = 32

POLICIES = [
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
]
# On this machine alone nobody listens in.
LOCAL_POLICIES = [
    *POLICIES,
    ua.SecurityPolicyType.Basic256Sha256_Sign,
    ua.SecurityPolicyType.NoSecurity,
]
NOT_FOR_CLIENTS = (
    ua.ObjectIds.WriteRequest_Encoding_DefaultBinary,
    ua.ObjectIds.HistoryReadRequest_Encoding_DefaultBinary,
)


@dataclass
class Caller(UaUser):
    """A user of a session; `allowed` is what they may, as in every gateway."""

    allowed: Role = Role.VIEWER


caller: ContextVar[Caller] = ContextVar("caller")


class Users:
    """asyncua's user manager: a name and its token, or nobody as a viewer."""

    def __init__(self, config: OpcUaConfig) -> None:
        self._users = {user.name: user for user in config.users}
        self._anonymous = config.anonymous

    def get_user(
        self,
        iserver: InternalServer,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> Caller | None:
        if username is None and password is None:
            return Caller(UserRole.User, "anonymous") if self._anonymous else None
        user: User | None = self._users.get(username or "")
        token = user.token if user else secrets.token_hex(16)
        same = hmac.compare_digest((password or "").encode(), token.encode())
        if user and same:
            return Caller(UserRole.User, user.name, user.role)
        event(LOG, logging.WARNING, "opcua login refused", user=str(username)[:MAX_SHOWN])
        return None


class _Rules(SimpleRoleRuleset):
    def __init__(self) -> None:
        super().__init__()
        self._permission_dict[UserRole.User] -= {ua.NodeId(each) for each in NOT_FOR_CLIENTS}


class _Session(InternalSession):
    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        if len(params) > MAX_CALLS:
            raise ServiceError(ua.StatusCodes.BadTooManyOperations)
        if not isinstance(self.user, Caller):
            raise ServiceError(ua.StatusCodes.BadUserAccessDenied)
        token = caller.set(self.user)
        try:
            return await super().call(params)
        finally:
            caller.reset(token)

    async def create_subscription(
        self, params: ua.CreateSubscriptionParameters, callback: Any, request_callback: Any = None
    ) -> ua.CreateSubscriptionResult:
        asked = params.RequestedPublishingInterval
        if not math.isfinite(asked) or asked < FASTEST_PUBLISH_MS:
            params.RequestedPublishingInterval = FASTEST_PUBLISH_MS
        return await super().create_subscription(params, callback, request_callback)

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        subscriptions = self.subscription_service.subscriptions.values()
        there = sum(len(each.monitored_item_srv._monitored_items) for each in subscriptions)
        if there + len(params.ItemsToCreate) > MAX_ITEMS:
            raise ServiceError(ua.StatusCodes.BadTooManyMonitoredItems)
        return await super().create_monitored_items(params)


class _Internal(InternalServer):
    def __init__(self, users: Users) -> None:
        super().__init__(user_manager=users)
        self._ending: set[asyncio.Task[None]] = set()

    def create_session(self, name: Any, user: Any = None, external: bool = False) -> _Session:
        """A session known by a token nobody can guess; asyncua counts them up, and whoever names
        one may take it over.
        """
        known = self._external_sessions.values()
        if sum(old.name == name for old in known) >= MAX_PER_CONNECTION:
            raise ServiceError(ua.StatusCodes.BadTooManySessions)
        if len(known) >= self.max_connections * MAX_PER_CONNECTION:
            self._make_place()
        session = _Session(self, self.aspace, self.subscription_service, name, external=external)
        if external:
            self.unregister_external_session(session)
            session.auth_token = ua.NodeId(secrets.token_bytes(32), 0)
            self.register_external_session(session)
        return session

    def decrypt_user_token(self, session: Any, token: ua.UserNameIdentityToken) -> tuple[str, str]:
        """A password may come encrypted; not with RSA PKCS #1 v1.5, whose errors tell of it."""
        if (token.EncryptionAlgorithm or "").endswith("rsa-1_5"):
            raise ServiceError(ua.StatusCodes.BadIdentityTokenRejected)
        return super().decrypt_user_token(session, token)

    def _make_place(self) -> None:
        """End the session that was silent longest of those whose connection is gone: a client that
        comes back may take it up again, until others need the place.
        """
        here = {each.get_extra_info("peername") for each in self.asyncio_transports}
        gone = [old for old in self._external_sessions.values() if old.name not in here]
        if not gone:
            raise ServiceError(ua.StatusCodes.BadTooManySessions)
        oldest = min(gone, key=lambda old: old._last_activity)
        self.unregister_external_session(oldest)
        ending = asyncio.get_running_loop().create_task(oldest.close_session())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def register_server(self, server: Any, conf: Any = None) -> None:
        raise ServiceError(ua.StatusCodes.BadServiceUnsupported)


class _Protocol(OPCUAProtocol):
    def data_received(self, data: bytes) -> None:
        if self.transport is None:  # refused; it is being closed
            return
        if len(self._buffer) + len(data) > MAX_HELD:
            self.transport.abort()
            return
        super().data_received(data)


class _Binary(BinaryServer):
    def __init__(self, *known: Any, sock: socket.socket) -> None:
        super().__init__(*known)
        self._socket = sock

    def _make_protocol(self) -> OPCUAProtocol:
        shared = (self._policies, self.clients, self.closing_tasks, self.limits)
        return _Protocol(self.iserver, *shared)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._make_protocol, sock=self._socket)
        self.cleanup_task = asyncio.create_task(self._close_task_loop())


class GuardedServer(Server):
    def __init__(self, config: OpcUaConfig) -> None:
        internal = _Internal(Users(config))
        internal.allow_remote_admin = False
        internal.max_connections = config.connections
        internal.max_pending_activation_seconds = ACTIVATE_S
        internal.max_pending_messages_per_connection = 64
        internal.max_subscriptions = MAX_SUBSCRIPTIONS
        internal.max_unacked_messages_per_subscription = 100
        internal.max_monitored_item_queue_size = 1000
        super().__init__(iserver=internal)
        self.limits = TransportLimits(CHUNK, CHUNK, math.ceil(MAX_MESSAGE / CHUNK), MAX_MESSAGE)
        self.set_security_policy(LOCAL_POLICIES if config.local else POLICIES, _Rules())
        tokens: list[type] = [ua.UserNameIdentityToken] if config.users else []
        self.set_identity_tokens(tokens + [ua.AnonymousIdentityToken] * config.anonymous)

    async def start_on(self, sock: socket.socket) -> None:
        await self._setup_server_nodes()
        await self.iserver.start()
        host, port = sock.getsockname()[:2]
        self.bserver = _Binary(self.iserver, host, port, self.limits, sock=sock)
        self.bserver.set_policies(self._policies)
        await self.bserver.start()

    async def stop(self) -> None:
        clock, self.iserver.time_task = self.iserver.time_task, None
        if clock:  # asyncua would wait for its next second
            clock.cancel()
        await super().stop()
