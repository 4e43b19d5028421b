# The wire between a simulated board and its virtual devices: file descriptor 3, packets of 80 bytes
# each way.
#
# request: op, seq, a, n, b (4 bytes, little-endian), 8 unused, 64 of payload
# reply:   errno, seq, n, pins with edges, ticks_ms (4), ticks_us (4), value (4), 64 of payload
#
# Packets keep their boundaries, so a Ctrl-C in the middle costs at most one reply, which the next
# request recognises by its sequence number. Nothing here allocates after import.

HELLO = 0
SLEEP_MS = 1
SLEEP_US = 2
NOW = 3
TIME = 4
RTC_SET = 5
PIN_MODE = 6
PIN_WRITE = 7
PIN_READ = 8
PIN_IRQ = 9
ADC_U16 = 10
ADC_UV = 11
I2C_WRITE = 12
I2C_READ = 13
OW_RESET = 14
OW_WRITE_BIT = 15
OW_READ_BIT = 16
OW_WRITE = 17
OW_READ = 18
WDT_START = 19
WDT_FEED = 20
RESET = 21
NVS_GET = 22
NVS_SET = 23
NET_JOIN = 24
NET_LEAVE = 25
NET_STATUS = 26
NET_RSSI = 27
NET_PORT = 28
NET_SCAN = 29

HEADER = 16
PAYLOAD = 64
MASK30 = 0x3FFFFFFF

_wire = open(3, "r+b")
out = bytearray(HEADER + PAYLOAD)
reply = bytearray(HEADER + PAYLOAD)
ticks_ms = 0
ticks_us = 0
radio = 0  # whether it carries anything, as of the last sleep
reads = 0  # of the clock, since the board last slept
irqs = {}  # pin number -> (handler, argument)


def _u30(at):
    return reply[at] | reply[at + 1] << 8 | reply[at + 2] << 16 | (reply[at + 3] & 0x3F) << 24


def call(op, a=0, b=0, n=0):
    # One transaction; returns the reply's value, raises OSError for its error number.
    global ticks_ms, ticks_us
    seq = (out[1] + 1) & 0xFF
    out[0] = op
    out[1] = seq
    out[2] = a
    out[3] = n
    out[4] = b & 0xFF
    out[5] = (b >> 8) & 0xFF
    out[6] = (b >> 16) & 0xFF
    out[7] = (b >> 24) & 0xFF
    _wire.write(out)
    while True:
        if not _wire.readinto(reply):
            raise SystemExit  # the simulation is gone
        if reply[1] == seq:
            break
    ticks_ms = _u30(4)
    ticks_us = _u30(8)
    if reply[0]:
        raise OSError(reply[0])
    return _u30(12)


def sleep(op, n):
    # Interrupt handlers run as the pulses came: evenly spread over the time slept, one call per
    # edge.
    global ticks_us, reads, radio
    reads = 0
    before = ticks_us
    radio = call(op, 0, n)
    pins = reply[3]
    if not pins:
        return
    after = ticks_us
    # A handler may use the wire itself, so take what it needs out of the reply first.
    _edges[:] = reply[HEADER:]
    for i in range(pins):
        pin = _edges[3 * i]
        count = _edges[3 * i + 1] | _edges[3 * i + 2] << 8
        step = ((after - before) & MASK30) // (count + 1)
        at = before
        for _ in range(count):
            at = (at + step) & MASK30
            entry = irqs.get(pin)
            if entry:
                ticks_us = at
                reads = 0
                entry[0](entry[1])
    ticks_us = after


_edges = bytearray(PAYLOAD)
