"""Which gateways there are, and their settings: each is one module with

    configure(table, flags, common) -> settings or None     None: not wanted
    make(core, settings) -> Gateway                         settings as configure gave them

`table` reads the TOML table of the gateway's name and collects problems, `flags` are the command
line's, `common` what all share. Settings compare equal when nothing changed: a reload restarts only
gateways whose settings differ. docs/gateways.md shows how to write one.
"""

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

from host.bridge.core import Core, Gateway
from host.bridge.toml_table import Table
from host.bridge.users import Users

# Name, which is also that of its table in the configuration: module.
BUILT_IN = {
    "mqtt": "host.gateways.mqtt",
    "mqtt_boards": "host.gateways.mqtt_boards",
    "webhook": "host.gateways.webhook",
    "file": "host.gateways.file",
    "modbus": "host.gateways.modbus",
    "opcua": "host.gateways.opcua",
    "web": "host.gateways.web.server",
}
# Imported though the configuration has no table of theirs: flags and defaults count, too.
ALWAYS = ("web",)
FLAGS = {"mqtt": ("broker", "embedded_broker"), "opcua": ("opcua",)}


@dataclass(frozen=True)
class Common:
    """What every gateway's settings may depend on."""

    site: str
    users: Users


class GatewayModule(Protocol):
    def configure(self, table: Table, flags: dict[str, Any], common: Common) -> Any: ...
    def make(self, core: Core, settings: Any) -> Gateway: ...


@dataclass(frozen=True)
class GatewayPlan:
    """A gateway that is wanted: its name, its module's name and its settings."""

    name: str
    module: str
    settings: Any

    def make(self, core: Core) -> Gateway:
        module: Any = importlib.import_module(self.module)
        made: Gateway = module.make(core, self.settings)
        return made


def plans(root: Table, flags: dict[str, Any], common: Common) -> tuple[GatewayPlan, ...]:
    """The gateways wanted: built-in ones by their tables, others by [gateways.NAME] module."""
    found = []
    own = root.table("gateways")
    for name, module in BUILT_IN.items():
        table = root.table(name)
        asked = any(flags.get(flag) is not None for flag in FLAGS.get(name, ()))
        if name in root.names() or asked or name in ALWAYS:
            found.append(_plan(name, module, table, flags, common))
    for name in own.names():
        table = own.table(name)
        module = table.text("module", None, "my_gateways.mine")
        if not table.has("module"):
            table.problem('module: expected the Python module to load, as in "my_gateways.sms"')
        else:
            found.append(_plan(name, module, table, flags, common))
    return tuple(plan for plan in found if plan is not None)


def _plan(
    name: str, module_name: str, table: Table, flags: dict[str, Any], common: Common
) -> GatewayPlan | None:
    try:
        module: Any = importlib.import_module(module_name)
        configure = module.configure
    except Exception as error:  # of whatever kind: it may be somebody's own module
        table.problem(f"{module_name} is no gateway that can be loaded: {error!r}")
        return None
    settings = configure(table, flags, common)
    table.refuse_unknown()
    return None if settings is None else GatewayPlan(name, module_name, settings)
