"""Who may do what: users with one of three roles, known by their tokens.

viewer    sees everything, asks nothing of boards
operator  asks boards what can be undone: override, auto, explain, ping, rebirth, self-test
admin     everything: limits, reboots
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from host.bridge.toml_table import Table


class Role(IntEnum):
    """Ordered: a role may do all that those below it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @classmethod
    def named(cls, name: str) -> "Role | None":
        return cls.__members__.get(name.upper()) if name.islower() else None


ROLES = tuple(role.name.lower() for role in Role)


def role_of(table: Table, default: str) -> Role:
    """The role named by `role`. A wrong one is a problem, and the least."""
    role = Role.named(table.text("role", None, default))
    if role is None:
        table.problem(f"role: expected one of {', '.join(ROLES)}")
        return Role.VIEWER
    return role


@dataclass(frozen=True)
class User:
    name: str
    role: Role
    token: str = field(repr=False)


@dataclass(frozen=True)
class Who:
    """Who asks something, and through which gateway; what the audit keeps."""

    name: str
    role: Role
    via: str


class Users:
    """The users of one configuration."""

    def __init__(self, users: Iterable[User] = ()) -> None:
        self._users = tuple(users)

    @property
    def all(self) -> tuple[User, ...]:
        return self._users

    def clash(self) -> bool:
        """Whether two users share a name or a token."""
        count = len(self._users)
        names, tokens = ({getattr(u, each) for u in self._users} for each in ("name", "token"))
        return len(names) < count or len(tokens) < count

    def by_token(self, token: str) -> User | None:
        """The user with this token. Takes as long for a wrong token as for a right one."""
        found = None
        for user in self._users:
            if hmac.compare_digest(user.token.encode(), token.encode()):
                found = user
        return found
