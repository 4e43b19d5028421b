# Runs the agent. Ctrl-C leads to the REPL, with the relay safe; any other end to a reset.
#
# This file and boot.py serve every set of files on the board, old and new: what they use of agent/
# (BootState, make, run, close) keeps its names and arguments.

import sys

RESET_AFTER_S = 5
# Until the program sets its own: a set that hangs while it is imported must not be the end, either.
START_WDT_MS = 30000
# After Ctrl-C the watchdog gets this long: a forgotten REPL must not be the end of the work.
REPL_WDT_MS = 600000


class Trial:
    """What /active says of the set that runs: a new one is on trial until it is good.

    `id`: of the set that runs, "" if unknown; `failed`: id of the one that did not come up, or "".
    """

    def __init__(self):
        import boot

        self._path = boot.ACTIVE
        self._tries = boot.TRIES
        self.record = record = boot.read_active()
        self.id = self.failed = ""
        self._counted = False
        if not record:
            return
        running, *self._others = boot.order(record)
        if running == record[3]:
            # The other one was given up, or is not there any more.
            self.record = record = [running, record[4], "back", record[0], record[1]]
            self._write()
        elif running != record[0]:
            self.record = None
            return
        if record[1] != "-":
            self.id = record[1]
        if record[2] == "back":
            self.failed = record[4]
        self._counted = self._count(1)

    def good(self):
        """The set is not on trial any more."""
        if self.record and self.record[2].isdigit():
            self.record[2] = "good"
            self._write()

    def withdraw(self):
        """What is wrong with the set no other boot can mend; whether another one runs from the
        next boot on.
        """
        record = self.record
        if not (record and record[2].isdigit() and self._others):
            return False
        record[2] = str(self._tries)
        self._write()
        return True

    def excuse(self):
        """This boot counts neither way."""
        if self._counted:
            self._counted = False
            self._count(-1)

    def _count(self, step):
        record = self.record
        if not record or not record[2].isdigit():
            return False
        boots = int(record[2]) + step
        if boots > self._tries:
            # Given up, but there is no other set.
            return False
        record[2] = str(boots)
        self._write()
        return True

    def _write(self):
        import binascii
        import os

        text = " ".join(self.record)
        try:
            with open(self._path + ".new", "w") as file:
                file.write("%s %08x\n" % (text, binascii.crc32(text.encode()) & 0xFFFFFFFF))
            os.rename(self._path + ".new", self._path)
        except OSError:
            # A flash that cannot be written must not stop the fan.
            pass


def run(trial):
    from agent.health import BootState
    from agent.start import make

    state = BootState()
    state.trial = trial
    state.begin()
    app = None
    try:
        app = make(state)
        make = None  # so that what only starting needs can go
        app.run()
    except KeyboardInterrupt:
        state.excuse()
        raise
    except Exception:
        state.crashed()
        raise
    finally:
        if app is not None:
            app.close()


def safe_relay():
    # app.close() has done so, if the program got that far.
    try:
        import boot

        boot.safe_relay()
    except Exception as error:
        sys.print_exception(error)


def main():
    import machine

    trial = None
    machine.WDT(timeout=START_WDT_MS)
    try:
        # Counted before anything of the set is imported: what is wrong may be just that.
        trial = Trial()
        # Imported for the purpose each time: its room is worth more.
        del sys.modules["boot"]
        run(trial)
    except KeyboardInterrupt:
        if trial:
            trial.excuse()
        safe_relay()
        machine.WDT(timeout=REPL_WDT_MS)
        print("fanwise: stopped, the fan runs; machine.reset() starts again, as will 10 minutes")
        return
    except Exception as error:
        safe_relay()
        sys.print_exception(error)
    import time

    # Time for Ctrl-C to get in before the next try.
    time.sleep(RESET_AFTER_S)
    machine.reset()


main()
