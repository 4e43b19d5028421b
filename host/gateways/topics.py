"""MQTT topics of one site, as docs/topics.md lists them. Pure."""

from dataclasses import dataclass

HA_STATUS = "homeassistant/status"


@dataclass(frozen=True)
class Topics:
    site: str

    @property
    def bridge_status(self) -> str:
        return f"fanwise/{self.site}/bridge/status"

    @property
    def commands(self) -> str:
        """Filter for the requests to all boards."""
        return f"fanwise/{self.site}/+/cmd"

    def device(self, device: str, name: str) -> str:
        return f"fanwise/{self.site}/{device}/{name}"

    def commanded(self, topic: str) -> str | None:
        """The device a request topic addresses, or None."""
        parts = topic.split("/")
        fits = len(parts) == 4 and parts[:2] == ["fanwise", self.site] and parts[3] == "cmd"
        return parts[2] if fits else None
