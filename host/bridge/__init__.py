"""The bridge: serial links to boards -> one SQLite store -> gateways to other systems."""

VERSION = "0.1.0"
