"""From a joined network to a socket over which CONNECT has gone out, in steps none of which waits.

    time         with TLS only, and only while the clock is not set: certificates have dates
    name         the broker's name is asked for
    connecting   TCP
    tls          the handshake

One step is taken per control period, right after the watchdog was fed. Of all steps only those of
the handshake take long, because they compute: docs/firmware.md has the bounds.
"""

import errno
import os
import select
import socket
import time

from agent.communication.mqtt.link import CA_FILE
from agent.communication.mqtt.packets import BrokerError
from agent.communication.mqtt.session import shut
from agent.rare import names
from agent.rare.addresses import is_address, is_private

TIME = "time"
NAME = "name"
CONNECTING = "connecting"
TLS = "tls"
ASK_TRIES = 4
CONNECT_MS = 10000
HANDSHAKE_MS = 20000
EARLIEST_YEAR = 2025
_REPLY_BYTES = 256
_UNIX_TO_2000_S = 946684800


class Dialer:
    """One try. broker: the checked setting `mqtt`; greeting: CONNECT; found: what is worth keeping
    for the next try, the broker's address, `ip`, and the TLS context, `trust`.
    """

    def __init__(self, broker, greeting, found):
        self.state = NAME
        self._broker = broker
        self._greeting = greeting
        self._steps = None
        self._socket = None
        self._found = found
        self._reply = bytearray(_REPLY_BYTES)
        self._now_ms = 0

    def step(self, name_server, now_ms):
        """Goes on; the socket once CONNECT is out, else None. Raises BrokerError, or what sockets
        and TLS do; the try is over then.
        """
        self._now_ms = now_ms
        if self._steps is None:
            self._steps = self._run(name_server)
        try:
            next(self._steps)
            return None
        except StopIteration:
            found = self._socket
            self._socket = None
            return found

    def close(self) -> None:
        """Gives up."""
        shut(self._socket)
        self._socket = None

    def _run(self, name_server):
        broker = self._broker
        tls = broker["tls"]
        if tls and time.gmtime()[0] < EARLIEST_YEAR:
            self.state = TIME
            yield from self._set_clock(name_server)
        self.state = NAME
        address = yield from self._find(broker["host"], name_server)
        if not address:
            # The broker has probably not moved since it was last found.
            address = self._found.get("ip")
            if not address:
                raise BrokerError("name")
        self._found["ip"] = address
        if not (tls or broker["in_clear"] or is_private(address)):
            raise BrokerError("public")
        self.state = CONNECTING
        yield from self._connect(address, broker["port"])
        if tls:
            self.state = TLS
            self._wrap()
        end_ms = self._now_ms + HANDSHAKE_MS
        while not self._greeted():
            if self._now_ms >= end_ms:
                raise BrokerError("silent")
            yield

    def _greeted(self):
        try:
            return self._socket.write(self._greeting)  # type: ignore[union-attr]
        except ValueError:
            # What the TLS of an ESP32 calls a certificate that it does not trust.
            raise BrokerError("certificate")

    def _find(self, host, name_server):
        if is_address(host):
            return host
        if not is_address(name_server):
            return ""
        to = (name_server, names.DNS_PORT)
        if host.endswith(".local"):
            to = (names.MDNS_GROUP, names.MDNS_PORT)
        id = os.urandom(2)
        found = yield from self._ask(to, names.question(host, id), names.answer, id)
        return found

    def _set_clock(self, name_server):
        address = yield from self._find(self._broker["ntp"], name_server)
        if not address:
            raise BrokerError("time")
        nonce = os.urandom(8)
        to = (address, names.NTP_PORT)
        at = yield from self._ask(to, names.time_request(nonce), names.time_reply, nonce)
        if at is None:
            raise BrokerError("time")
        import machine  # type: ignore[import-not-found]

        if time.gmtime(0)[0] == 2000:
            at -= _UNIX_TO_2000_S
        now = time.gmtime(at)
        if not EARLIEST_YEAR <= now[0] < 2100:
            raise BrokerError("time")
        machine.RTC().datetime((now[0], now[1], now[2], now[6], now[3], now[4], now[5], 0))

    def _ask(self, to, request, read, mark):
        # Sends a datagram, again each second step; what `read` makes of the first reply it takes.
        self._socket = asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asker.setblocking(False)
        address = socket.getaddrinfo(to[0], to[1])[0][-1]
        reply = self._reply
        for n in range(2 * ASK_TRIES):
            if n % 2 == 0:
                try:
                    asker.sendto(request, address)
                except OSError:
                    pass
            yield
            while True:
                try:
                    size = asker.readinto(reply)  # type: ignore[attr-defined]
                except OSError:
                    break
                if not size:
                    break
                found = read(memoryview(reply)[:size], mark)
                if found is not None:
                    self._drop()
                    return found
        self._drop()
        return None

    def _drop(self):
        shut(self._socket)
        self._socket = None

    def _connect(self, address, port):
        self._socket = new = socket.socket()
        new.setblocking(False)
        try:
            # An address, not a name: getaddrinfo() only puts it into form.
            new.connect(socket.getaddrinfo(address, port)[0][-1])
        except OSError as error:
            if error.args[0] != errno.EINPROGRESS:
                raise
        poll = select.poll()
        poll.register(new, select.POLLOUT)
        end_ms = self._now_ms + CONNECT_MS
        while True:
            yield
            if poll.poll(0):
                return
            if self._now_ms >= end_ms:
                raise BrokerError("unreachable")

    def _wrap(self):
        import tls  # type: ignore[import-not-found]

        context = self._found.get("trust")
        if context is None:
            context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
            context.verify_mode = tls.CERT_REQUIRED
            with open(CA_FILE, "rb") as file:
                context.load_verify_locations(file.read())
            self._found["trust"] = context
        # Not now: the handshake goes on with each write that follows, as far as it can.
        self._socket = context.wrap_socket(
            self._socket, server_hostname=self._broker["host"], do_handshake_on_connect=False
        )
