"""Alarms as HTTP POST requests to a program of yours.

    [webhook]
    url = "https://example.net/fanwise"
    kinds = ["alarms"]                      # or "decisions" too
    secret_file = "/etc/fanwise/webhook"    # then each request is signed
    timeout_s = 10

Body: {"site", "device", "kind", "record": as the board wrote it}. At least once: a request that is
not answered with 2xx is made again, and the same record always has the same `Idempotency-Key`. With
a secret, `X-Fanwise-Signature: sha256=<hex>` is the HMAC of the body.

An answer 400, 413, 415 or 422 says that this very record is not wanted: it is logged and passed
over, or it would hold up all that come after it.
"""

import asyncio
import hashlib
import hmac
import json
import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from host.bridge import VERSION
from host.bridge.backoff import Backoff
from host.bridge.core import Core
from host.bridge.gateways import Common
from host.bridge.logs import event
from host.bridge.records import Record
from host.bridge.secret import secret
from host.bridge.toml_table import Table
from host.gateways.delivery import Delivery
from host.gateways.http_post import Unanswered, post
from host.gateways.kinds import kinds
from host.gateways.listening import is_loopback

LOG = logging.getLogger("fanwise.webhook")
NOT_WANTED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


@dataclass(frozen=True)
class WebhookConfig:
    url: str
    kinds: tuple[str, ...]
    timeout_s: float
    secret: str | None = field(default=None, repr=False)


def configure(table: Table, flags: dict[str, Any], common: Common) -> WebhookConfig | None:
    url = table.text("url", None, "https://example.net/fanwise")
    parts = urlsplit(url)
    if not table.has("url") or parts.scheme not in ("http", "https") or not parts.hostname:
        table.problem("url: expected where to post to, as in https://example.net/fanwise")
    elif parts.username or parts.password:
        table.problem("url: a password in it would be logged; use secret_file")
    elif parts.scheme == "http" and not is_loopback(parts.hostname):
        table.problem(f"url: {parts.hostname} is another machine, so it has to be https://")
    return WebhookConfig(
        url,
        kinds(table),
        table.number("timeout_s", None, 10.0, 0.1, 120.0),
        secret(table, "secret_file", "FANWISE_WEBHOOK_SECRET"),
    )


def make(core: Core, settings: WebhookConfig) -> "Webhook":
    return Webhook(core, settings)


class Webhook:
    name = "webhook"

    def __init__(self, core: Core, config: WebhookConfig) -> None:
        self._config = config
        self._site = core.site
        self._where = urlsplit(config.url).netloc
        self._delivery = Delivery(core, f"webhook:{config.url}", config.kinds, at_once=1)
        self._backoff = Backoff(0.5, 60.0)
        self._told = False

    async def start(self) -> None:
        pass

    async def run(self) -> None:
        while True:
            try:
                await self._delivery.run(self._send)
            except Unanswered as error:
                if not self._told:
                    fields = {"host": self._where, "reason": error}
                    event(LOG, logging.WARNING, "webhook not delivered, alarms wait", **fields)
                    self._told = True
            await asyncio.sleep(self._backoff.delay_s())

    async def stop(self) -> None:
        self._delivery.close()

    async def _send(self, records: list[Record]) -> None:
        for record in records:
            status = await self._post(record)
            if status in NOT_WANTED:
                fields = {"host": self._where, "status": status.value, "device": record.device}
                event(LOG, logging.ERROR, "webhook does not want a record", **fields)
            elif not 200 <= status < 300:
                raise Unanswered(f"answered {status.value} {status.phrase}")
            self._backoff.reset()
            self._told = False

    async def _post(self, record: Record) -> HTTPStatus:
        about = {"site": self._site, "device": record.device, "kind": record.kind}
        body = json.dumps({**about, "record": record.body}, ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"fanwise/{VERSION}",
            "Idempotency-Key": f"{self._site}-{record.device}-{record.id}",
        }
        if self._config.secret:
            signature = hmac.new(self._config.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Fanwise-Signature"] = f"sha256={signature}"
        return await post(self._config.url, body, headers, self._config.timeout_s)
