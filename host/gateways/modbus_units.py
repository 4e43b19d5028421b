"""Unit ids of boards: assigned once, never given to another board."""

UNITS = range(1, 248)


class Units:
    def __init__(self, named: dict[str, int], kept: dict[str, str]) -> None:
        """named: by the settings, which win. kept: assigned earlier, as the store has them."""
        self._named = dict(named)
        taken = set(named.values())
        self._devices: dict[int, str] = {unit: device for device, unit in named.items()}
        # In the settings now, or its number is: whoever has it by an earlier start needs another.
        self.lost: list[str] = []
        for device, text in sorted(kept.items()):
            unit = int(text) if text.isascii() and text.isdecimal() else 0
            if device in named or unit not in UNITS:
                continue
            if unit in taken:
                self.lost.append(device)
            else:
                self._devices[unit] = device
        self._units = {device: unit for unit, device in self._devices.items()}

    def unit(self, device: str) -> int | None:
        return self._units.get(device)

    def device(self, unit: int) -> str | None:
        return self._devices.get(unit)

    def free(self) -> int | None:
        """The lowest number that never was a board's, None when all are taken."""
        return next((unit for unit in UNITS if unit not in self._devices), None)

    def assign(self, device: str, unit: int) -> None:
        self._devices[unit] = device
        self._units[device] = unit

    def all(self) -> list[tuple[int, str]]:
        return sorted(self._devices.items())
