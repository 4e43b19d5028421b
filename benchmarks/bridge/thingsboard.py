"""ThingsBoard Gateway beside the bridge, on one stream of telemetry from a broker to a broker.

It is looked for in a virtual environment of its own (`pip install thingsboard-gateway`), with its
MQTT connector, storage in memory and logging at WARNING. A second broker plays the ThingsBoard
server, with a client that says there are no limits. It is given the bare JSON of the readings, the
bridge the frames around it.
"""

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.bridge.board import READINGS
from benchmarks.bridge.measured import Usage
from benchmarks.bridge.running import _end, _until, mosquitto, played

START_S = 90.0
SETTLE_S = 10.0
START = "from thingsboard_gateway.tb_gateway import daemon; daemon()"
# What a server answers when it is asked for its limits: none.
NONE = {"messages": "", "telemetryMessages": "", "telemetryDataPoints": ""}
SESSION = {
    "maxPayloadSize": 65536, "maxInflightMessages": 1000, "rateLimits": NONE,
    "gatewayRateLimits": NONE,
}  # fmt: skip
LIMITS = (
    "rateLimits", "dpRateLimits", "messagesRateLimits", "deviceMessagesRateLimits",
    "deviceRateLimits", "deviceDpRateLimits",
)  # fmt: skip


def measured(folder: Path, venv: Path, boards: int, seconds: float) -> tuple[float, Usage]:
    """(CPU seconds per reading delivered, usage at the end). Raises RuntimeError, OSError."""
    with (
        mosquitto(folder) as source,
        mosquitto(folder) as target,
        _counted(target) as count,
        _gateway(folder, venv, source, target) as process,
        played("on_mqtt", source, "--boards", boards, "--plain"),
    ):
        _until(lambda: count() > boards, START_S)
        time.sleep(SETTLE_S)
        before, seen = Usage.of(process.pid), count()
        time.sleep(seconds)
        after, delivered = Usage.of(process.pid), count() - seen
    if delivered < 0.9 * boards * seconds:
        raise RuntimeError(f"it delivered {delivered} of {boards * seconds:.0f} readings")
    return (after.cpu_s - before.cpu_s) / delivered, after


@contextlib.contextmanager
def _gateway(folder: Path, venv: Path, source: int, target: int) -> Iterator[Any]:
    installed = next(venv.glob("lib/python*/site-packages/thingsboard_gateway/config"))
    (folder / "logs").mkdir()
    logs = json.loads((installed / "logs.json").read_text())
    for each in logs["loggers"].values():
        each["level"] = "WARNING"
    main = json.loads((installed / "tb_gateway.json").read_text())
    main["thingsboard"] |= {
        "host": "127.0.0.1", "port": target, "remoteConfiguration": False,
        "statistics": {"enable": False}, **dict.fromkeys(LIMITS, "0:0,"),
    }  # fmt: skip
    main["connectors"] = [{"type": "mqtt", "name": "MQTT", "configuration": "mqtt.json"}]
    about = {
        "deviceNameExpressionSource": "topic",
        "deviceNameExpression": "(?<=plain/)(.*?)(?=/data)",
        "deviceProfileExpressionSource": "constant",
        "deviceProfileExpression": "default",
    }
    series = [
        {
            "type": "string" if isinstance(value, str) else "integer",
            "key": key,
            "value": f"${{{key}}}",
        }
        for key, value in READINGS.items()
    ]
    converter = {"type": "json", "deviceInfo": about, "attributes": [], "timeseries": series}
    connector = {
        "broker": {"host": "127.0.0.1", "port": source, "version": 4, "clientId": "gateway",
                   "security": {"type": "anonymous"}},
        "mapping": [{"topicFilter": "plain/+/data", "subscriptionQos": 0, "converter": converter}],
        "requestsMapping": {},
    }  # fmt: skip
    for name, value in (("tb_gateway", main), ("mqtt", connector), ("logs", logs)):
        (folder / f"{name}.json").write_text(json.dumps(value))
    process = subprocess.Popen(
        [venv / "bin" / "python", "-c", START],
        cwd=folder,
        env={**os.environ, "TB_GW_CONFIG_DIR": str(folder), "PYTHONPATH": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        _end(process)


@contextlib.contextmanager
def _counted(port: int) -> Iterator[Any]:
    """A function that says how many readings came to the server so far."""
    lock, seen = threading.Lock(), [0]

    def message(client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        if "/rpc/request/" in message.topic:
            topic = message.topic.replace("request", "response")
            client.publish(topic, json.dumps(SESSION), 1)
            return
        with lock:
            seen[0] += message.payload.count(b'"case_mc"')

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.on_message = message
    client.connect("127.0.0.1", port)
    client.subscribe([("v1/gateway/telemetry", 0), ("v1/devices/me/rpc/request/+", 1)])
    client.loop_start()
    yield lambda: seen[0]
    client.disconnect()
    client.loop_stop()
