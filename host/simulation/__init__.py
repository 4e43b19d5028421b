"""Simulated boards: the firmware in a real MicroPython VM, virtual devices, virtual time."""
