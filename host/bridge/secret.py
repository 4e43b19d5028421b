"""Secrets come from files or the environment, never from flags, and are never logged."""

import os
from pathlib import Path

from host.bridge.toml_table import Table

MIN_TOKEN_CHARS = 16


def secret(table: Table, key: str, env: str = "") -> str | None:
    """The content of the file named in `key`, else of the environment variable `env`."""
    path = table.text(key, None, "") if table.has(key) else ""
    if not path:
        return os.environ.get(env) or None
    try:
        return Path(path).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        table.problem(f"{key} {path}: {reason}; give a readable file with the secret in it")
        return None


def token(table: Table, key: str, env: str = "") -> str | None:
    """A secret that lets its bearer in; a short one is a problem."""
    value = secret(table, key, env)
    if value is not None and len(value) < MIN_TOKEN_CHARS:
        table.problem(
            f"{key}: the token is shorter than {MIN_TOKEN_CHARS} characters; "
            "make one with: openssl rand -hex 16"
        )
    return value
