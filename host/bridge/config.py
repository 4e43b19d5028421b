"""The bridge's configuration: a TOML file, overridden by flags, checked as a whole.

`load` collects every problem before anything is opened and raises one `ConfigError` with all.
"""

import os
import re
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.bridge.errors import ConfigError
from host.bridge.gateways import Common, GatewayPlan, plans
from host.bridge.logs import LEVELS
from host.bridge.secret import token
from host.bridge.store_settings import StoreConfig
from host.bridge.toml_table import Table
from host.bridge.users import User, Users, role_of

AUTO = "auto"
NAME = re.compile(r"[a-z0-9_-]{1,32}")


@dataclass(frozen=True)
class Config:
    site: str
    ports: tuple[str, ...]
    baud: int
    keepalive_s: float
    store: StoreConfig
    users: Users
    gateways: tuple[GatewayPlan, ...]
    log_level: str = "info"
    print_decisions: bool = False


def load(path: Path | None, flags: dict[str, Any]) -> Config:
    """Configuration from `path` (may be None) with `flags` (None: not given) over it.

    Raises ConfigError naming every problem found.
    """
    problems: list[str] = []
    tree = _read(path) if path else {}
    table = Table("", tree, problems)
    store = table.table("store")
    site = table.text("site", flags.get("site"), "home")
    if not NAME.fullmatch(site):
        problems.append(f'site "{site}": use 1 to 32 of a-z, 0-9, _ and -, as in "home"')
    users = _users(table)
    config = Config(
        site=site,
        ports=_ports(table, flags.get("port"), "mqtt_boards" in tree, problems),
        baud=table.integer("baud", None, 115200, 1200, 4_000_000),
        keepalive_s=table.number("keepalive_s", flags.get("keepalive_s"), 10.0, 0.05, 20.0),
        store=StoreConfig(
            path=_store_path(
                store.text("path", flags.get("store"), str(StoreConfig.path)), problems
            ),
            max_age_days=store.integer("max_age_days", None, StoreConfig.max_age_days, 1, 36500),
            max_mb=store.integer("max_mb", None, StoreConfig.max_mb, 1, 1_000_000),
            telemetry_every_s=store.integer("telemetry_every_s", None, 10, 1, 3600),
        ),
        users=users,
        gateways=plans(table, flags, Common(site, users)),
        log_level=table.text("log_level", flags.get("log_level"), "info"),
        print_decisions=bool(flags.get("print_decisions")),
    )
    if config.log_level not in LEVELS:
        problems.append(f'log_level "{config.log_level}": use one of {", ".join(LEVELS)}')
    for each in (table, store):
        each.refuse_unknown()
    if problems:
        raise ConfigError(problems)
    return config


def _read(path: Path) -> dict[str, Any]:
    """Raises ConfigError at once: what is missing may well stand in the file."""
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        problem = f"configuration file {path}: {error.strerror}; check the path given to --config"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = f"configuration file {path} is not TOML: {error}"
    raise ConfigError([problem])


def _ports(
    table: Table, flag: list[str] | None, optional: bool, problems: list[str]
) -> tuple[str, ...]:
    known = len(problems)
    ports = table.texts("ports", flag)
    if not ports and not optional and len(problems) == known:
        problems.append(
            "no serial port: give --port /dev/ttyUSB0 (repeatable), --port auto, or ports = [...]"
        )
    for port in sorted({port for port in ports if ports.count(port) > 1}):
        problems.append(f"serial port {port} is given twice; name each board's port once")
    for port in dict.fromkeys(ports):
        if port == AUTO:
            continue
        try:
            mode = os.stat(port).st_mode
        except OSError:
            continue  # may be plugged in later: the link waits for it
        if not stat.S_ISCHR(mode):
            problems.append(
                f"serial port {port} is not a serial device; "
                "on Linux those are called /dev/ttyUSB0, /dev/ttyACM0 and the like"
            )
        elif not os.access(port, os.R_OK | os.W_OK):
            problems.append(
                f"serial port {port}: no permission to read and write; "
                "join the group that owns it (often: sudo usermod -aG dialout $USER)"
            )
    return ports


def _store_path(text: str, problems: list[str]) -> Path:
    path = Path(text).expanduser()
    if path.is_dir():
        problems.append(f"store {path} is a folder; give a file in it, as in {path / 'fanwise.db'}")
    return path


def _users(table: Table) -> Users:
    users = []
    for each in table.tables("users"):
        name = each.text("name", None, "anna")
        role = role_of(each, "viewer")
        if not each.has("name") or not NAME.fullmatch(name):
            each.problem("name: use 1 to 32 of a-z, 0-9, _ and -")
        key = token(each, "token_file")
        if key is None and not each.has("token_file"):
            each.problem("token_file: expected a file with a token (openssl rand -hex 16)")
        each.refuse_unknown()
        if key:
            users.append(User(name, role, key))
    made = Users(users)
    if made.clash():
        table.problem("users: two have the same name or the same token")
    return made
