"""Start invoke, or a verb's module, so that Ctrl-C ends it without a traceback at any moment.

    python -m host.start invoke [VERB] ...
    python -m host.start host.devices.flash ...

Modules take a second to load, in which they cannot see to that themselves.
"""

import os
import runpy
import signal
import sys

USAGE, INTERRUPTED = 2, 130


def _invoke(words: list[str]) -> None:
    from invoke import Exit, ParseError, Program

    class Verbs(Program):  # type: ignore[misc]
        def parse_core(self, argv: list[str] | None) -> None:
            try:
                super().parse_core(argv)
            except ParseError as error:
                raise _told(error) from error

        def parse_tasks(self) -> None:
            try:
                super().parse_tasks()
            except ParseError as error:
                raise _told(error) from error

    def _told(error: ParseError) -> Exit:
        text = f"{error} ./run --list shows the verbs, ./run --help VERB what one takes"
        if "--json" in words:
            import json

            facts = {"error": "UsageError", "message": text, "exit_code": USAGE}
            print(json.dumps({"event": "error", **facts}), flush=True)
        return Exit(f"error: {text}", code=USAGE)

    Verbs(binary="./run", binary_names=["run"]).run(["./run", *words])


def main(words: list[str]) -> None:
    module, *rest = words
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Started with it closed.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    try:
        if module == "invoke":
            _invoke(rest)
        else:
            sys.argv = [module, *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        # The impatient press it twice.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main(sys.argv[1:])
