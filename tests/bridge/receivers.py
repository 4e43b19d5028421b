"""Where gateways deliver to, counting what came."""

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.bridge.waiting import PATIENCE_S, eventually

# Device, boot and sequence number of a record.
Key = tuple[str, int, int]


class Subscriber:
    """A persistent QoS 1 subscriber to all decisions."""

    def __init__(self, port: int) -> None:
        self.events: Counter[Key] = Counter()
        self._ready = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, "counts", clean_session=False, protocol=paho.MQTTv311
        )
        self._client.on_message = self._message
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_disconnect = lambda *_: self._ready.clear()
        self._client.reconnect_delay_set(1, 1)
        self._port = port

    def connect(self) -> None:
        """Returns when the broker knows of the subscription."""
        self._ready.clear()
        eventually(self._try)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S), "never subscribed"

    def leave(self) -> None:
        self._client.loop_stop()

    def _connected(self, *_: object) -> None:
        self._client.subscribe("fanwise/+/+/event/+", 1)

    def _try(self) -> bool:
        try:
            self._client.connect("127.0.0.1", self._port, keepalive=600)
        except OSError:
            return False
        return True

    def _message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        body = json.loads(message.payload)
        self.events[body["dev"], body["boot"], body["seq"]] += 1


class Listener:
    """Subscribes to everything; keeps what came in, retained or not."""

    def __init__(self, port: int) -> None:
        self.retained: dict[str, str] = {}
        self.all: list[tuple[str, str]] = []
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._message
        eventually(lambda: self._try(port), what="broker accepts connections")
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def _try(self, port: int) -> bool:
        try:
            self._client.connect("127.0.0.1", port)
        except OSError:
            return False
        return True

    def _message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        text = message.payload.decode()
        self.all.append((message.topic, text))
        if message.retain:
            self.retained[message.topic] = text

    def of(self, topic: str) -> list[Any]:
        return [json.loads(text) for name, text in list(self.all) if name == topic]

    def last(self, topic: str) -> str | None:
        found = [text for name, text in list(self.all) if name == topic]
        return found[-1] if found else None

    def publish(self, topic: str, payload: str, retain: bool = False) -> None:
        sent = self._client.publish(topic, payload, 1, retain)
        sent.wait_for_publish(PATIENCE_S)
        assert sent.is_published()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Webhook:
    """Counts what it answers with 204; `hangs_s` before it does, or `status` instead."""

    def __init__(self) -> None:
        self.posts: Counter[Key] = Counter()
        self.hangs_s = 0.0
        self.status = 204
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = hook.status
                time.sleep(hook.hangs_s)
                if status == 204:
                    record = body["record"]
                    hook.posts[body["device"], record["boot"], record["seq"]] += 1
                try:
                    self.send_response(status)
                    self.end_headers()
                except OSError:
                    pass  # the bridge waited no longer

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/in"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
