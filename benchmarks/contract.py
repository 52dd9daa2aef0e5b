"""The command line that all drivers share, and the one line of JSON they answer with; the same as driver.py's.

    DRIVER scp   --port P --out DIR [--mode MODE] [--max-pdu N] [--find N]   prints READY, serves until SIGTERM
    DRIVER echo  --port P --n N
    DRIVER assoc --port P --n N
    DRIVER store --port P --dir DIR [--max-pdu N] [--mode MODE]
    DRIVER find  --port P --study UID --series UID [--aec TITLE] [--mode MODE]
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

Command = Callable[[argparse.Namespace], None]


def parse(name: str, commands: Mapping[str, Command], arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line of a driver that knows these commands."""
    parser = argparse.ArgumentParser(prog=name, description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", choices=sorted(commands))
    parser.add_argument("--port", type=int, required=True, help="port of the server on 127.0.0.1")
    parser.add_argument("--out", default=".", metavar="DIR", help="folder that scp writes to")
    parser.add_argument("--dir", metavar="DIR", help="folder that store sends")
    parser.add_argument("--mode", default="raw", choices=("raw", "naive", "chunked", "discard"))
    parser.add_argument("--max-pdu", type=int, default=16384, metavar="N", help="longest PDU received, 0 for any")
    parser.add_argument("--n", type=int, default=100, help="how many echoes or associations")
    parser.add_argument("--find", type=int, default=10000, metavar="N", help="matches of a C-FIND")
    parser.add_argument("--study", default="", metavar="UID")
    parser.add_argument("--series", default="", metavar="UID")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), help="TLS with these files (bare.py)")
    parser.add_argument("--aec", default="ANY-SCP", metavar="TITLE", help="AE title of the server")
    options = parser.parse_args(arguments)
    if options.command == "store" and not (options.dir and Path(options.dir).is_dir()):
        parser.error(f"--dir: there is no folder {options.dir!r}")
    return options


def run(name: str, commands: Mapping[str, Command]) -> None:
    """What a driver does when it is started."""
    options = parse(name, commands)
    commands[options.command](options)


def report(succeeded: int, seconds: float, **more: float) -> None:
    """The answer of a client."""
    print(json.dumps({"n": succeeded, "seconds": seconds, **more}), flush=True)


def serve() -> None:
    """Say that the server listens, and wait for SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print("READY", flush=True)
    ended.wait()


def fail(why: str) -> NoReturn:
    """End a client that cannot go on."""
    sys.exit(f"failed: {why}")
