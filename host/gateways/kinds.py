"""Which records a gateway is given: the setting `kinds`, in words people use."""

from host.bridge.toml_table import Table

WORDS = {"alarms": "alarm", "decisions": "dec"}


def kinds(table: Table) -> tuple[str, ...]:
    """The kinds of record named by `kinds`; alarms unless given."""
    words = table.texts("kinds", None) or ("alarms",)
    for word in words:
        if word not in WORDS:
            table.problem(f'kinds: "{word}" is none; there are: {", ".join(WORDS)}')
    return tuple(WORDS[word] for word in words if word in WORDS)
