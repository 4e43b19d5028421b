# Runs the agent. Ctrl-C leads to the REPL, with the relay safe; any other end to a reset.

import sys

RESET_AFTER_S = 5
# After Ctrl-C the watchdog gets this long: a forgotten REPL must not be the end of the work.
REPL_WDT_MS = 600000


def run():
    from agent.health import BootState
    from agent.start import make

    state = BootState()
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


def main():
    import machine
    from boot import safe_relay

    try:
        run()
    except KeyboardInterrupt:
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
