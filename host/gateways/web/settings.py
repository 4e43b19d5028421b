"""Settings of the web gateway: the table [web] and --http."""

import re
from dataclasses import dataclass
from typing import Any

from host.bridge.gateways import Common
from host.bridge.secret import token
from host.bridge.toml_table import Table
from host.bridge.users import Role, User, Users
from host.gateways.listening import address, is_loopback

ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")


@dataclass(frozen=True)
class WebConfig:
    """`users`: who may log in; with none the page is open, which needs loopback. `embed`: origins
    whose pages may show a board's status.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    users: tuple[User, ...] = ()
    hosts: tuple[str, ...] = ()
    embed: tuple[str, ...] = ()


def configure(table: Table, flags: dict[str, Any], common: Common) -> WebConfig | None:
    listen = table.text("listen", flags.get("http"), "127.0.0.1:8080")
    admin = token(table, "token_file", "FANWISE_WEB_TOKEN")
    hosts = tuple(host.lower() for host in table.texts("hosts", None))
    embed = table.texts("embed", None)
    for origin in embed:
        if not ORIGIN.fullmatch(origin):
            table.problem(f'embed: "{origin}" is no origin, as in "https://wiki.example"')
    if listen == "off":
        return None
    where = address(listen)
    if where is None:
        table.problem(f'web address "{listen}": expected HOST:PORT, as in 127.0.0.1:8080, or off')
        return None
    host, port = where
    users = common.users.all
    if admin is not None:
        users = (*users, User("admin", Role.ADMIN, admin))
        if Users(users).clash():
            table.problem("token_file: a user of that name or with that token is in [[users]]")
    if not users and not is_loopback(host):
        table.problem(
            f"web address {listen} can be reached from other machines and needs a login: "
            "set [web] token_file (a token: openssl rand -hex 16), or listen on 127.0.0.1"
        )
    return WebConfig(host=host, port=port, users=users, hosts=hosts, embed=embed)
