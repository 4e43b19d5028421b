"""How long a frame takes to those who watch: `python -m benchmarks.bridge.watch mqtt 1883`.

Says "ready", runs until its input closes, prints {what: milliseconds of each}. In a process of its
own, so that counting here delays nothing there.
"""

import argparse
import contextlib
import json
import socket
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.bridge.board import now_us

# A subscriber to the states of thousands would need as much of the machine as the bridge.
STATES_OF = 200

Times = defaultdict[str, list[float]]


@contextlib.contextmanager
def mqtt(port: int, times: Times) -> Iterator[None]:
    """Decisions, and the states of STATES_OF boards, at a subscriber."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    seen: dict[str, int] = {}

    def decision(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        now = now_us()
        times["record"].append((now - json.loads(message.payload)["ms"]) / 1000)

    def state(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        now = now_us()
        begun = json.loads(message.payload)["score"]
        # A state comes again with its reading when something else of it changes.
        if not message.retain and seen.get(message.topic) != begun:
            seen[message.topic] = begun
            times["reading"].append((now - begun) / 1000)

    client.message_callback_add("fanwise/+/+/event/decision", decision)
    client.message_callback_add("fanwise/+/+/state", state)
    client.connect("127.0.0.1", port)
    client.subscribe("fanwise/+/+/event/decision", 0)
    for n in range(STATES_OF):
        client.subscribe(f"fanwise/home/board-{n}/state", 0)
    client.loop_start()
    yield
    client.disconnect()
    client.loop_stop()


@contextlib.contextmanager
def page(port: int, times: Times) -> Iterator[None]:
    """Readings and records at a browser's event stream."""

    def read() -> None:
        name = b""
        for line in file:
            if line.startswith(b"event: "):
                name = line[7:].strip()
            elif line.startswith(b"data: "):
                now = now_us()
                if name == b"reading":
                    times["reading"].append((now - json.loads(line[6:])["tel"]["ms"]) / 1000)
                elif name == b"record":
                    times["record"].append((now - json.loads(line[6:])["ms"]) / 1000)
                else:
                    times[name.decode()].append(0.0)

    with socket.create_connection(("127.0.0.1", port)) as stream:
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        file = stream.makefile("rb")
        threading.Thread(target=read, daemon=True).start()
        yield


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("where", choices=("mqtt", "page"))
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    times: Times = defaultdict(list)
    with (mqtt if given.where == "mqtt" else page)(given.port, times):
        print("ready", flush=True)
        sys.stdin.readline()  # an empty line: what came so far does not count
        times.clear()
        sys.stdin.read()
    print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
