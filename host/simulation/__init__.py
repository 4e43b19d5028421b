"""Simulated boards: the real firmware in a real MicroPython VM, with virtual devices and virtual time."""
