"""Doing it: the relay, its interlocks and its safe state."""
