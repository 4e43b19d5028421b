"""Structured logging: one `time level name message key=value` line per event, on stderr."""

import logging
import sys
import time
from typing import Any

LEVELS = ("debug", "info", "warning", "error")

# These tell of every packet and connection; what matters of it the bridge says itself.
NOISY = (
    "amqtt", "transitions", "websockets", "uvicorn", "mqtt", "asyncio", "pymodbus", "asyncua",
)  # fmt: skip


class LineFormatter(logging.Formatter):
    """Keys and values passed as `extra={"fields": {...}}` follow the message."""

    converter = staticmethod(time.gmtime)  # type: ignore[assignment]

    def format(self, record: logging.LogRecord) -> str:
        stamp = self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z"
        parts = [stamp, record.levelname.lower(), record.name, record.getMessage()]
        fields: dict[str, Any] = getattr(record, "fields", {})
        parts += [f"{key}={_quoted(value)}" for key, value in fields.items()]
        line = " ".join(parts)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _quoted(value: object) -> str:
    text = str(value)
    plain = text.isprintable() and text and not any(c in text for c in ' "=')
    return text if plain else '"' + text.encode("unicode_escape").decode().replace('"', "'") + '"'


def configure(level: str) -> None:
    """Log to stderr from `level` up; libraries only from error up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def event(log: logging.Logger, level: int, message: str, **fields: object) -> None:
    """Log `message` with its facts as key=value."""
    log.log(level, message, extra={"fields": fields})
