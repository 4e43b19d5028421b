# `machine` of an ESP32, as far as drivers of sensors and relays use it, over the bus to virtual
# devices.

import _bus

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2

    def __init__(self, id, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        self._id = pin_number(id)
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        # The level first: an output must not start with the wrong one.
        if value is not None:
            _bus.call(_bus.PIN_WRITE, self._id, 1 if value else 0)
        if mode != -1 or pull != -1:
            mode = 0 if mode == -1 else mode
            pull = 0 if pull is None or pull == -1 else pull
            _bus.call(_bus.PIN_MODE, self._id, mode | pull << 8)

    def value(self, x=None):
        if x is None:
            return _bus.call(_bus.PIN_READ, self._id)
        _bus.call(_bus.PIN_WRITE, self._id, 1 if x else 0)
        return None

    def __call__(self, x=None):
        return self.value(x)

    def on(self):
        _bus.call(_bus.PIN_WRITE, self._id, 1)

    def off(self):
        _bus.call(_bus.PIN_WRITE, self._id, 0)

    def toggle(self):
        self.value(not self.value())

    def irq(self, handler=None, trigger=3, wake=None, hard=False):
        if handler is None:
            _bus.irqs.pop(self._id, None)
            trigger = 0
        else:
            _bus.irqs[self._id] = (handler, self)
        _bus.call(_bus.PIN_IRQ, self._id, trigger)
        return self

    def __repr__(self):
        return "Pin(%d)" % self._id


def pin_number(pin):
    return pin._id if isinstance(pin, Pin) else int(pin)


class Signal:
    def __init__(self, pin, *args, invert=False, **kwargs):
        self._pin = pin if isinstance(pin, Pin) else Pin(pin, *args, **kwargs)
        self._invert = bool(invert)

    def value(self, x=None):
        if x is None:
            return self._pin.value() ^ self._invert
        self._pin.value(bool(x) ^ self._invert)
        return None

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    WIDTH_9BIT = 9
    WIDTH_10BIT = 10
    WIDTH_11BIT = 11
    WIDTH_12BIT = 12

    def __init__(self, pin, *, atten=ATTN_0DB):
        self._id = pin_number(pin)
        self._atten = atten
        self._bits = 12
        self.read_u16()

    def atten(self, atten):
        self._atten = atten

    def width(self, bits):
        self._bits = bits

    def read(self):
        return self.read_u16() >> (16 - self._bits)

    def read_u16(self):
        return _bus.call(_bus.ADC_U16, self._id, self._atten)

    def read_uv(self):
        return _bus.call(_bus.ADC_UV, self._id, self._atten)


class SoftI2C:
    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        self._lines = pin_number(sda) | pin_number(scl) << 8

    def scan(self):
        found = []
        for address in range(0x08, 0x78):
            try:
                self.writeto(address, b"")
            except OSError:
                continue
            found.append(address)
        return found

    # A transfer longer than a packet goes in pieces; the flag says that more of it follows.
    def writeto(self, addr, buf, stop=True):
        left = len(buf)
        at = 0
        while True:
            n = left if left < _bus.PAYLOAD else _bus.PAYLOAD
            for i in range(n):
                _bus.out[_bus.HEADER + i] = buf[at + i]
            at += n
            left -= n
            _bus.call(_bus.I2C_WRITE, addr, self._lines | (1 << 16 if left else 0), n)
            if not left:
                return at

    def writevto(self, addr, vector, stop=True):
        return self.writeto(addr, b"".join(vector), stop)

    def readfrom_into(self, addr, buf, stop=True):
        left = len(buf)
        at = 0
        first = 1 << 17
        while True:
            n = left if left < _bus.PAYLOAD else _bus.PAYLOAD
            _bus.call(_bus.I2C_READ, addr, self._lines | first, n)
            first = 0
            for i in range(n):
                buf[at + i] = _bus.reply[_bus.HEADER + i]
            at += n
            left -= n
            if not left:
                return

    def readfrom(self, addr, nbytes, stop=True):
        buf = bytearray(nbytes)
        self.readfrom_into(addr, buf, stop)
        return bytes(buf)

    def _point(self, addr, memaddr, addrsize):
        n = addrsize // 8
        for i in range(n):
            _bus.out[_bus.HEADER + i] = (memaddr >> (8 * (n - 1 - i))) & 0xFF
        _bus.call(_bus.I2C_WRITE, addr, self._lines, n)

    def readfrom_mem_into(self, addr, memaddr, buf, *, addrsize=8):
        self._point(addr, memaddr, addrsize)
        self.readfrom_into(addr, buf)

    def readfrom_mem(self, addr, memaddr, nbytes, *, addrsize=8):
        buf = bytearray(nbytes)
        self.readfrom_mem_into(addr, memaddr, buf, addrsize=addrsize)
        return bytes(buf)

    def writeto_mem(self, addr, memaddr, buf, *, addrsize=8):
        n = addrsize // 8
        if n + len(buf) <= _bus.PAYLOAD:
            for i in range(n):
                _bus.out[_bus.HEADER + i] = (memaddr >> (8 * (n - 1 - i))) & 0xFF
            for i in range(len(buf)):
                _bus.out[_bus.HEADER + n + i] = buf[i]
            _bus.call(_bus.I2C_WRITE, addr, self._lines, n + len(buf))
        else:
            self.writeto(addr, memaddr.to_bytes(n, "big") + bytes(buf))


class I2C(SoftI2C):
    def __init__(self, id=0, *, scl=None, sda=None, freq=400000, timeout=50000):
        if scl is None:
            scl = 25 if id else 18
        if sda is None:
            sda = 26 if id else 19
        super().__init__(scl, sda, freq=freq, timeout=timeout)


class WDT:
    def __init__(self, id=0, timeout=5000):
        _bus.call(_bus.WDT_START, 0, timeout)

    def feed(self):
        _bus.call(_bus.WDT_FEED)


class RTC:
    # (year, month, day, weekday, hours, minutes, seconds, subseconds)
    def datetime(self, parts=None):
        import time

        if parts is None:
            t = time.gmtime()
            return (t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0)
        at = time.mktime((parts[0], parts[1], parts[2], parts[4], parts[5], parts[6], 0, 0))
        _bus.call(_bus.RTC_SET, 0, at)
        return None

    init = datetime


def reset():
    _bus.call(_bus.RESET)


def soft_reset():
    raise SystemExit


def reset_cause():
    _bus.call(_bus.HELLO)
    return _bus.reply[16]


def unique_id():
    _bus.call(_bus.HELLO)
    return bytes(_bus.reply[18:24])


def freq(hz=None):
    return 160000000


def idle():
    _bus.sleep(_bus.SLEEP_MS, 1)


def lightsleep(time_ms=0):
    _bus.sleep(_bus.SLEEP_MS, time_ms)


def disable_irq():
    return 1


def enable_irq(state):
    pass
