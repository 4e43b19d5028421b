"""Pins: what each GPIO of a board is good for, and what speaks against a wiring.

pins.problems(config)       one message for each part that cannot hang where the settings put it
pins.refusal(12, "relay")   why not, or ""
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# What can hang on a pin: the relay, and a sensor's driver, ina219 with its two wires.
USES = ("relay", "ds18b20", "ntc", "i2c", "tach")
# Kinds of pins as boards/chips/*.toml and boards/*.toml name them.
CHIP_KINDS = ("all", "flash", "uart0", "usb", "strapping", "input_only", "pulse", "adc1", "adc2")
BOARD_KINDS = ("flash", "psram", "absent", "relays")

_MEMBERS = {"pin": None, "sda": "i2c", "scl": "i2c"}
# Kinds that are out for every use, the more telling first.
_NEVER = (
    ("absent", "is not brought out on this board"),
    ("flash", "is wired to the flash memory"),
    ("psram", "is wired to the PSRAM"),
    ("usb", "carries USB"),
    ("uart0", "carries the serial line to the host"),
    ("strapping", "is a strapping pin: its level at reset decides how the chip starts"),
)
_SUGGESTIONS = 6


@dataclass(frozen=True)
class Pins:
    """kinds: sets of pins by CHIP_KINDS and BOARD_KINDS; wired: what is soldered to a pin."""

    chip: str
    kinds: Mapping[str, frozenset[int]]
    wired: Mapping[int, str] = field(default_factory=dict)

    def all(self) -> list[int]:
        return sorted(self.kinds["all"])

    def of(self, kind: str) -> frozenset[int]:
        return self.kinds.get(kind, frozenset())

    def refusal(self, pin: int, use: str = "") -> str:
        """Why `pin` cannot serve `use` (one of USES; "": anything at all); "" if it can."""
        if pin not in self.of("all"):
            return f"does not exist on the {self.chip}"
        for kind, why in _NEVER:
            if pin in self.of(kind):
                return why
        if pin in self.wired:
            return f"is taken on this board by {self.wired[pin]}"
        if use != "relay" and pin in self.of("relays"):
            return "is taken on this board by a relay"
        return self._limit(pin, use)

    def _limit(self, pin: int, use: str) -> str:
        if pin in self.of("input_only"):
            if use in ("relay", "ds18b20", "i2c"):
                return "can only be an input"
            if use == "tach":
                return "has no pull-up, which the tachometer needs"
        if use == "relay" and pin in self.of("pulse"):
            return "pulses while the chip starts, and the relay with it"
        if use == "ntc" and pin not in self.of("adc1"):
            if pin in self.of("adc2"):
                return "is on ADC2, which does not work beside Wi-Fi"
            return "has no analogue input"
        return ""

    def usable(self, use: str) -> list[int]:
        """Pins for `use`; on a board with relays of its own those come first."""
        found = [pin for pin in self.all() if not self.refusal(pin, use)]
        return sorted(found, key=lambda pin: (use != "relay" or pin not in self.of("relays"), pin))

    def problems(self, wiring: Mapping[str, Any]) -> list[str]:
        """What speaks against the `relay` and `sensors` of settings, one message each.

        Two users of one pin are agent.config's to find. What is no pin at all is passed over.
        """
        users = list(users_of(wiring))
        taken = {pin for _, pin, _ in users}
        found = []
        for member, pin, use in users:
            why = self.refusal(pin, use)
            if why:
                free = [str(p) for p in self.usable(use) if p not in taken][:_SUGGESTIONS]
                hint = f"; free for it: {', '.join(free)}" if free else ""
                found.append(f"{member}: pin {pin} {why}{hint}")
        return found


def users_of(wiring: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    """(member, pin, use) of everything that hangs on a pin, e.g. ("sensors.power.sda", 21, "i2c").

    What has not the form of settings is passed over.
    """
    relay = wiring.get("relay")
    if isinstance(relay, Mapping) and _is_pin(relay.get("pin")):
        yield "relay.pin", relay["pin"], "relay"
    sensors = wiring.get("sensors")
    for role, sensor in sensors.items() if isinstance(sensors, Mapping) else ():
        if not isinstance(sensor, Mapping):
            continue
        for member, use in _MEMBERS.items():
            use = use or str(sensor.get("driver"))
            if _is_pin(sensor.get(member)) and use in USES:
                yield f"sensors.{role}.{member}", sensor[member], use


def _is_pin(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def parse(text: str) -> frozenset[int]:
    """Pins from "0 2 12-15". Raises ValueError."""
    found: set[int] = set()
    for word in text.split():
        first, dash, last = word.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"{word} is no pin")
        span = range(int(first), int(last or first) + 1)
        if not span:
            raise ValueError(f"{word} is empty")
        found.update(span)
    return frozenset(found)
