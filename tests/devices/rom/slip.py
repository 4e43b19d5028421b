"""SLIP framing (RFC 1055) as the boot loaders of Espressif's chips speak it."""

END, ESCAPE = 0xC0, 0xDB
ESCAPED = {0xDC: END, 0xDD: ESCAPE}


def encode(packet: bytes) -> bytes:
    return b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


class Decoder:
    """Bytes in, packets out. What stands outside of packets, or breaks the escape, is dropped."""

    def __init__(self) -> None:
        self._packet: bytearray | None = None
        self._escaped = False

    def feed(self, data: bytes) -> list[bytes]:
        packets = []
        for byte in data:
            if byte == END:
                if self._packet:
                    packets.append(bytes(self._packet))
                # An END both ends one packet and may begin the next; empty ones are ignored.
                self._packet, self._escaped = bytearray(), False
            elif self._packet is None:
                continue
            elif self._escaped:
                self._escaped = False
                if byte in ESCAPED:
                    self._packet.append(ESCAPED[byte])
                else:
                    self._packet = None
            elif byte == ESCAPE:
                self._escaped = True
            else:
                self._packet.append(byte)
        return packets
