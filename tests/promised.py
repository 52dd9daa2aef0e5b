"""A server in a process of its own, whose descriptors and memory can be counted, and which obeys lines of its input.

    python -m tests.promised '{"artim": 0.8}' '{"spool": 1000}'

The lines are "starve" (no descriptor beyond those that are open now), "feed" (as many as before), "report" (what there
is, which takes no descriptor), "unread" (what the readers have not read yet) and "rest" (a report once idle threads
have ended, with what is open). Each is answered by a line of JSON. `Promised` is the other side of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import json
import logging
import os
import resource
import stat
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldicomnet import LDicomNet, Limits, Timeouts
from ldicomnet.threads import let_idle_end

from .leftovers import objects
from .support import SECONDS, Taking

ROOT = Path(__file__).resolve().parent.parent


class Lines(logging.Handler):
    """Keeps the texts of the log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one; a traceback would be more than a line."""
        self.texts.append(f"{record.levelname} {record.getMessage()}" + ("\nTraceback" if record.exc_info else ""))


def report(server: LDicomNet, lines: Lines) -> dict[str, Any]:
    """What there is now; the log since the last time."""
    texts, lines.texts = lines.texts, []
    return {
        "cpu": time.process_time(),
        "clients": server.get_client_count(),
        "log": texts,
        **server.statistics.as_dict(),
    }


def unread() -> int:
    """Bytes that have come and that nobody has read yet."""
    total = 0
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):  # it is no connection
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                total += int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
    return total


def obey(word: str, server: LDicomNet, lines: Lines) -> dict[str, Any] | None:
    """Do what one line says; None for "stop"."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    match word:
        case "starve":
            free = os.dup(0)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            return {"cpu": time.process_time(), "limit": free}
        case "feed":
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1024), hard))
            return {}
        case "rest":
            let_idle_end(SECONDS)
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)  # what the C library keeps for later would hide what comes next
            held = {"descriptors": len(os.listdir("/proc/self/fd")), "files": len(os.listdir(os.environ["TMPDIR"]))}
            held |= {"threads": threading.active_count(), "objects": sum(objects().values())}
            return held | report(server, lines)
        case "unread":
            return {"bytes": unread()}
        case "report":
            return report(server, lines)
    return None


def main(timeouts: str, limits: str) -> int:
    """Serve until the input says, or ends."""
    lines = Lines()
    logging.getLogger().addHandler(lines)
    server = Taking()
    server.timeouts, server.limits = Timeouts(**json.loads(timeouts)), Limits(**json.loads(limits))
    server.listen("127.0.0.1")
    print(json.dumps({"port": server.get_host_info()[1]}), flush=True)
    for line in sys.stdin:
        answer = obey(line.strip(), server, lines)
        if answer is None:
            break
        print(json.dumps(answer), flush=True)
    server.server_close()
    return 0


class Promised:
    """The process, as the test sees it; a context.

    Attributes:
        port: where it listens.
    """

    def __init__(self, timeouts: Mapping[str, float], limits: Mapping[str, int] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory()
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": self._folder.name}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.promised", json.dumps(dict(timeouts)), json.dumps(dict(limits or {}))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        self._bell = threading.Timer(6 * SECONDS, self._process.kill)  # whatever happens, it ends
        self._bell.start()
        self.port: int = self._answer()["port"]

    def __enter__(self) -> Promised:
        return self

    def __exit__(self, *_: object) -> None:
        self._bell.cancel()
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._folder.cleanup()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        return answer

    def ask(self, word: str) -> dict[str, Any]:
        """Say one line, and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._answer()

    def stop(self) -> int:
        """Its exit status, when it has closed everything."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(SECONDS)

    def memory(self) -> tuple[int, int]:
        """KB that belong to it alone, and the most of all kinds since `forget_peak`."""
        lines = Path("/proc", str(self._process.pid), "status").read_text(encoding="ascii").splitlines()
        values = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith("kB")}
        return int(values["RssAnon"]), int(values["VmHWM"])

    def forget_peak(self) -> None:
        """From now on the peak counts anew."""
        Path("/proc", str(self._process.pid), "clear_refs").write_text("5", encoding="ascii")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
