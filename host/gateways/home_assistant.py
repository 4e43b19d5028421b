"""Home Assistant device discovery: one retained payload per board. Pure.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

import json
from typing import Any

from host.bridge import VERSION
from host.bridge.registry import Board
from host.gateways.topics import Topics

OVERRIDE_S = 600
# A board reports each second; a reading of two minutes ago is none, whatever the status says.
EXPIRE_S = 120
MAX_STATE = 255  # Home Assistant refuses longer states


def config_topic(prefix: str, site: str, device: str) -> str:
    return f"{prefix}/device/fanwise_{site}_{device}/config"


def discovery(topics: Topics, board: Board) -> dict[str, Any]:
    """The discovery payload of one board."""
    unique = f"fanwise_{topics.site}_{board.device}"
    hello = board.hello
    components = _components(topics.device(board.device, "cmd"))
    for key, component in components.items():
        component["unique_id"] = f"{unique}_{key}"
        component["default_entity_id"] = f"{component['platform']}.{unique}_{key}"
        if component["platform"] in ("sensor", "binary_sensor"):
            component["expire_after"] = EXPIRE_S
    return {
        "device": {
            "identifiers": [unique],
            "name": f"Fanwise {board.device}",
            "manufacturer": "Fanwise",
            "model": str(hello.get("board") or "board"),
            "sw_version": str(hello.get("fw") or "unknown"),
        },
        "origin": {"name": "Fanwise bridge", "sw_version": VERSION},
        "availability_mode": "all",
        "availability": [
            _available(topics.bridge_status),
            _available(topics.device(board.device, "status")),
        ],
        "state_topic": topics.device(board.device, "state"),
        "qos": 1,
        "components": components,
    }


def _available(topic: str) -> dict[str, str]:
    # Anything but "online" is unavailable; Home Assistant ignores words it was not told.
    words = "{{ 'online' if value == 'online' else 'offline' }}"
    return {"topic": topic, "value_template": words}


def _components(command_topic: str) -> dict[str, dict[str, Any]]:
    def sensor(name: str, key: str, **more: Any) -> dict[str, Any]:
        return {"platform": "sensor", "name": name, "value_template": _value(key), **more}

    def temperature(name: str, key: str) -> dict[str, Any]:
        return sensor(name, key, **_measured("°C", "temperature"))

    def button(name: str, press: str, icon: str) -> dict[str, Any]:
        command = {"command_topic": command_topic, "payload_press": press}
        return {"platform": "button", "name": name, **command, "icon": icon}

    hold_on = _command("override", fan=1, for_s=OVERRIDE_S)
    hold_off = _command("override", fan=0, for_s=OVERRIDE_S)
    automatic = _command("auto")
    reason = "{{ (value_json.reason or 'none')[:" + str(MAX_STATE) + "] }}"
    overridden = "{{ 'ON' if value_json.override_s > 0 else 'OFF' }}"
    return {
        "case": temperature("Case", "case_c"),
        "ambient": temperature("Ambient", "ambient_c"),
        "forecast_off": temperature("Forecast with the fan off", "forecast_off_c"),
        "forecast_on": temperature("Forecast with the fan on", "forecast_on_c"),
        "power": sensor("Power", "power_w", **_measured("W", "power")),
        "rpm": sensor("Fan speed", "rpm", **_measured("rpm"), icon="mdi:fan"),
        "score": sensor(
            "Anomaly score", "score", state_class="measurement", icon="mdi:chart-bell-curve"
        ),
        "reason": {
            **sensor("Reason", "reason", icon="mdi:head-question"),
            "value_template": reason,
        },
        "anomaly": _binary("Anomaly", "anomaly", device_class="problem"),
        "fan": _binary("Fan", "fan", device_class="running", icon="mdi:fan"),
        "override": {
            "platform": "switch",
            "name": "Override: fan on for 10 min",
            "command_topic": command_topic,
            "payload_on": hold_on,
            "payload_off": automatic,
            "value_template": overridden,
            "state_on": "ON",
            "state_off": "OFF",
            "icon": "mdi:hand-back-right",
        },
        "hold_on": button("Fan on for 10 min", hold_on, "mdi:fan"),
        "hold_off": button("Fan off for 10 min", hold_off, "mdi:fan-off"),
        "auto": button("Automatic", automatic, "mdi:fan-auto"),
    }


def _binary(name: str, key: str, **more: Any) -> dict[str, Any]:
    return {"platform": "binary_sensor", "name": name, "value_template": _value(key), **more}


def _measured(unit: str, device_class: str | None = None) -> dict[str, str]:
    measured = {"unit_of_measurement": unit, "state_class": "measurement"}
    return {**measured, "device_class": device_class} if device_class else measured


def _value(key: str) -> str:
    # Home Assistant reads the text None as "unknown", which is what a missing reading is.
    return "{{ value_json." + key + " }}"


def _command(name: str, **args: int) -> str:
    return json.dumps({"name": name, "args": args})
