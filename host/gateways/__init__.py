"""Gateways: each carries what the bridge knows to one outside system."""
