"""Sensors into readings: integers in the unit of their name, or None and why."""
