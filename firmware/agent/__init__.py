"""What the board runs once it is up: five rooms, one direction (docs/firmware.md)."""
