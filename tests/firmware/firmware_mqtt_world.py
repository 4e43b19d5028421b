"""A simulated board whose link is a scripted broker."""

import json
import time

from firmware_world import World

from agent.communication.frames import encode
from host.simulation.radio import AccessPoint

SSID, PASSWORD = "barn", "a password that nobody may see"
BROKER_PASSWORD = "another one of those"
LEAST_EVER = 6 * 1024


class MqttWorld(World):
    """A board whose link is a scripted broker, and somebody who reads along on its console."""

    def __init__(self, vm, firmware, folder, *, broker, mqtt=None, files=None, **kwargs):
        self.broker = broker
        settings = {
            "link": "mqtt",
            "wifi": {"ssid": SSID},
            "mqtt": {"host": "127.0.0.1", "port": broker.port, "user": "b1", **(mqtt or {})},
        }
        secrets = json.dumps({"wifi": PASSWORD, "mqtt": BROKER_PASSWORD}).encode()
        files = {"secrets.json": secrets, **(files or {})}
        super().__init__(vm, firmware, folder, config=settings, files=files, **kwargs)
        self.board.radio.access_points[SSID] = AccessPoint(PASSWORD)
        self.acks = False  # on the console nobody does

    def poll(self):
        # The network between them is real, and may need a moment.
        time.sleep(0.001)
        self.broker.poll()
        super().poll()

    def up(self, timeout_s=60):
        self.until(lambda: self.broker.connected and self.broker.links, timeout_s)

    def link(self):
        health = self.of("health")
        return health[-1]["link"] if health else {}

    def host(self, seconds):
        """The bridge speaks up every 10 s."""
        end = self.now_s + seconds
        while self.now_s < end:
            if self.broker.connected:
                self.broker.down(encode({"t": "clock", "at": 1795258800 + int(self.now_s)}))
            self.run(min(10, end - self.now_s), 0.5)

    def drained(self):
        """Everything durable is acknowledged, sooner or later."""

        def empty():
            self.command("rebirth")
            return not self.of("hello")[-1]["queued"]

        self.until(empty, 60)

    def told(self):
        return [frame["msg"] for frame in self.of("log")]

    def well(self):
        """Nothing that happened to the link has touched the loop."""
        last = self.of("health")[-1]
        assert (last["err"], last["late"], last["crashes"], last["last_err"]) == (0, 0, 0, "")
        assert self.periods() == {1000}
        assert self.board.resets.total() == 1
        assert last["min_free"] >= LEAST_EVER
        everything = json.dumps([self.frames, self.broker.frames]) + self.text.decode()
        assert PASSWORD not in everything
        assert BROKER_PASSWORD not in everything
