# Runs the agent. Ctrl-C leads to the REPL, with the relay safe; any other end to a reset.

import sys

RESET_AFTER_S = 5


def main():
    from boot import safe_relay

    try:
        from agent.start import run

        run()
    except KeyboardInterrupt:
        safe_relay()
        print(
            "fanwise: stopped; the fan runs. machine.reset() starts again, as will 10 idle minutes."
        )
        return
    except Exception as error:
        safe_relay()
        sys.print_exception(error)
    import time

    import machine

    # Time for Ctrl-C to get in before the next try.
    time.sleep(RESET_AFTER_S)
    machine.reset()


main()
