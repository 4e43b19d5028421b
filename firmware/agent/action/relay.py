"""The fan's relay. It trusts nobody: minimum times and the safe state are enforced here.

1. Fan on is the safe state. `safe()` takes the fan there at once, whatever the minimum times say.
2. Off to on by request waits until the fan was off for min_off_ms.
3. On to off waits until the fan was on for min_on_ms, also when it was put on by `safe()`.
4. With max_run_ms set, a fan that ran that long by request is put off, for min_off_ms at least. Not
   while `safe()` holds it on.
5. Made after a reset, it cannot know when the fan was last switched, and takes it for just now.
"""

MIN_ON = "min_on"
MIN_OFF = "min_off"
MAX_RUN = "max_run"


def pin_level(fan_on: bool, contact: str, active: str) -> int:
    """The level that sets the fan: on the normally closed contact ("nc") it runs without current
    in the coil; a module that draws on "low" energises its coil at 0.
    """
    coil = bool(fan_on) == (contact == "no")
    return 1 if coil == (active == "high") else 0


class Relay:
    """Sets the fan through `pin` (called with `.value(level)`); starts in the safe state.

    `on` is 1 while the fan is set to run.  `held` names the interlock that keeps the fan from
    what was last requested, or is None.  All times in ms of uptime.
    """

    def __init__(self, pin, contact, active, min_on_ms, min_off_ms, max_run_ms, now_ms):
        self._pin = pin
        self._levels = (pin_level(False, contact, active), pin_level(True, contact, active))
        self._min_on_ms = min_on_ms
        self._min_off_ms = min_off_ms
        self._max_run_ms = max_run_ms
        self.on = 1
        self.held = None
        self._since_ms = now_ms
        self._exhausted = False
        self._write()

    def request(self, fan_on, now_ms):
        """Sets the fan as far as the interlocks let it; returns `on`."""
        self.held = None
        since = now_ms - self._since_ms
        if self.on:
            # Being made to rest by rule 4 counts as a wish for off, so rule 3 holds for it too.
            if fan_on and self._max_run_ms and since >= self._max_run_ms:
                self._exhausted = True
            if not fan_on or self._exhausted:
                if since >= self._min_on_ms:
                    self._switch(0, now_ms)
                    self.held = MAX_RUN if fan_on else None
                elif not fan_on:
                    self.held = MIN_ON
        elif fan_on:
            if since >= self._min_off_ms:
                self._switch(1, now_ms)
            else:
                self.held = MAX_RUN if self._exhausted else MIN_OFF
        self._write()
        return self.on

    def safe(self, now_ms: int) -> int:
        """The safe state, at once."""
        self.held = None
        if not self.on:
            self._switch(1, now_ms)
        self._write()
        return self.on

    def wait_ms(self, now_ms: int) -> int:
        """How long the interlock in `held` will go on holding."""
        limit = self._min_on_ms if self.on else self._min_off_ms
        return max(0, limit - (now_ms - self._since_ms))

    def _switch(self, on, now_ms):
        self.on = on
        self._since_ms = now_ms
        if on:
            self._exhausted = False

    def _write(self):
        # Every time, not only on a change: it puts right what a glitch on the pin's driver broke.
        self._pin.value(self._levels[self.on])
