"""Names and the time, asked for over UDP: DNS [RFC 1035], mDNS [RFC 6762, 5.1] and SNTP [RFC 4330].

A board's own getaddrinfo() waits up to 7 s for each of its servers, which is too long beside a
watchdog; these questions wait for nothing. The packets are pure.
"""

DNS_PORT = 53
MDNS_PORT = 5353
MDNS_GROUP = "224.0.0.251"
NTP_PORT = 123
# SNTP counts from 1900; half of its seconds come before 1968 and are taken for those from 2036 on.
_NTP_EPOCH_S = 2208988800
_NTP_ERA = 1 << 32


def question(name: str, id: bytes) -> bytes:
    """A query for the IPv4 address of a name; `id` has two bytes."""
    labels = b"".join([bytes((len(label),)) + label.encode() for label in name.split(".")])
    return id + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x01\x00\x01"


def answer(data, id):
    """What a reply says: the address, "" where there is none, None where it is no reply to `id`.

    Never raises on any bytes.
    """
    size = len(data)
    if size < 12 or bytes(data[:2]) != id or not data[2] & 0x80:
        return None
    at = 12
    for _ in range(data[4] << 8 | data[5]):
        at = _after_name(data, at, size) + 4
    for _ in range(data[6] << 8 | data[7]):
        at = _after_name(data, at, size)
        if at + 10 > size:
            break
        length = data[at + 8] << 8 | data[at + 9]
        kind = data[at] << 8 | data[at + 1]
        at += 10 + length
        if at > size:
            break
        if kind == 1 and length == 4:
            return ".".join([str(byte) for byte in bytes(data[at - 4 : at])])
    return ""


def _after_name(data, at, size):
    # A name ends with an empty label or with a pointer to the rest of it.
    while at < size:
        n = data[at]
        if n >= 0xC0:
            return at + 2
        at += n + 1
        if not n:
            return at
    return size


def time_request(nonce: bytes) -> bytes:
    """An SNTP request; `nonce`, eight bytes, comes back in the reply."""
    return b"\x23" + bytes(39) + nonce


def time_reply(data, nonce):
    """Seconds since 1970, or None where it is no usable reply. Never raises on any bytes."""
    # Version and mode: a server's; stratum: one that knows the time; leap: not unsynchronised.
    if len(data) < 48 or data[0] & 7 != 4 or data[0] >> 6 == 3 or not 0 < data[1] < 16:
        return None
    if bytes(data[24:32]) != nonce:
        return None
    seconds = data[40] << 24 | data[41] << 16 | data[42] << 8 | data[43]
    if seconds < _NTP_ERA // 2:
        seconds += _NTP_ERA
    return seconds - _NTP_EPOCH_S
