"""Reads a TOML table member by member, by type, and finds what nobody asked for."""

from typing import Any


class Table:
    """One TOML table: reads members by type and remembers which were asked for."""

    def __init__(self, name: str, tree: dict[str, Any], problems: list[str]) -> None:
        self._prefix = f"[{name}] " if name else ""
        self._tree = tree
        self._problems = problems
        self._known: set[str] = set()

    def has(self, key: str) -> bool:
        """Whether the member is there; a later `refuse_unknown` takes it for known."""
        self._known.add(key)
        return key in self._tree

    def problem(self, text: str) -> None:
        """Add one, with the table's name before it."""
        self._problems.append(self._prefix + text)

    def table(self, key: str) -> "Table":
        value = self._take(key, None)
        if value is not None and not isinstance(value, dict):
            self._problems.append(f"{key}: expected a table; write [{key}] on a line of its own")
            value = None
        return Table(key, value or {}, self._problems)

    def tables(self, key: str) -> "list[Table]":
        """The tables of an array, [[key]] each."""
        value = self._take(key, None) or []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self._problems.append(f"{key}: expected tables; write [[{key}]] before each")
            return []
        return [Table(f"{key} {n}", each, self._problems) for n, each in enumerate(value, 1)]

    def names(self) -> list[str]:
        """What is in the table."""
        return list(self._tree)

    def text(self, key: str, flag: str | None, default: str) -> str:
        value = self._take(key, flag)
        if value is None:
            return default
        if isinstance(value, str) and value:
            return value
        self._problems.append(f'{self._prefix}{key}: expected text in quotes, as in "{default}"')
        return default

    def texts(self, key: str, flag: list[str] | None) -> tuple[str, ...]:
        value = self._take(key, flag)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            return tuple(value)
        self._problems.append(
            f'{self._prefix}{key}: expected a list of texts, as in ["one", "two"]'
        )
        return ()

    def integer(self, key: str, flag: int | None, default: int, low: int, high: int) -> int:
        value = self._take(key, flag)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self._problems.append(f"{self._prefix}{key}: expected a whole number from {low} to {high}")
        return default

    def number(
        self, key: str, flag: float | None, default: float, low: float, high: float
    ) -> float:
        value = self._take(key, flag)
        if value is None:
            return default
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        self._problems.append(f"{self._prefix}{key}: expected a number from {low} to {high}")
        return default

    def flag(self, key: str, flag: bool | None) -> bool:
        value = self._take(key, flag)
        if value is None or isinstance(value, bool):
            return bool(value)
        self._problems.append(f"{self._prefix}{key}: expected true or false")
        return False

    def refuse_unknown(self) -> None:
        for key in self._tree:
            if key not in self._known:
                known = ", ".join(sorted(self._known))
                self._problems.append(
                    f'{self._prefix}"{key}" is no setting here; there are: {known}'
                )

    def _take(self, key: str, flag: Any) -> Any:
        self._known.add(key)
        return self._tree.get(key) if flag is None else flag
