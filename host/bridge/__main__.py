"""python -m host.bridge --port /dev/ttyUSB0 --store run-state/fanwise.db"""

import argparse
import os
import signal
import sys
from functools import partial
from pathlib import Path

from host.bridge import VERSION, config, logs
from host.bridge.errors import StartError


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m host.bridge",
        description="Carries what boards say on serial ports into a store, to MQTT and to a page.",
        epilog="Settings from --config FILE hold unless a flag says otherwise; see docs/bridge.md.",
    )
    p.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
    p.add_argument("--port", action="append", metavar="PATH", help="serial port (repeatable)")
    p.add_argument("--store", metavar="FILE", help="SQLite file (default run-state/fanwise.db)")
    p.add_argument("--broker", metavar="URL", help="mqtt://[user@]host[:port], mqtts:// for TLS")
    p.add_argument(
        "--embedded-broker",
        action="store_true",
        default=None,
        help="run an MQTT broker inside, on loopback only",
    )
    p.add_argument(
        "--embedded-port", type=int, metavar="N", help="its port (default 1883, 0: any free)"
    )
    p.add_argument("--http", metavar="HOST:PORT", help="live page (default 127.0.0.1:8080, or off)")
    p.add_argument("--opcua", metavar="HOST:PORT", help="OPC UA server, docs/opcua.md")
    p.add_argument("--site", metavar="NAME", help="site name in MQTT topics (default home)")
    p.add_argument(
        "--keepalive-s",
        type=float,
        metavar="S",
        help="longest silence towards a board (default 10; boards take 30 for a lost host)",
    )
    p.add_argument("--log-level", choices=logs.LEVELS)
    p.add_argument(
        "--print-decisions", action="store_true", help="print one line per stored decision"
    )
    p.add_argument("--version", action="version", version=f"fanwise bridge {VERSION}")
    return p


def main(argv: list[str] | None = None) -> int:
    flags = vars(parser().parse_args(argv))
    try:
        if os.name == "nt":
            raise StartError("serial ports need Linux or macOS; on Windows run it in WSL 2")
        path = flags.pop("config")
        settings = config.load(path, flags)
        logs.configure(settings.log_level)
        # Only now: importing the service costs more than reading the settings.
        from host.bridge.service import serve

        serve(settings, partial(config.load, path, flags))
    except StartError as error:
        print(f"fanwise bridge: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    # Until the service takes them: in a container, as process 1, it could not be stopped, and a
    # reload that comes early would end it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.exit(main())
