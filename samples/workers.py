"""A server in several processes that share one listening socket, so that it uses more than one core.

The first process listens and accepts nothing; each worker inherits the socket, and the one that is free takes the next
connection. A worker that dies is replaced. Works wherever Python can hand a socket to another process: Linux, macOS and
Windows.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import common
import security

from ldicomnet import LDicomError

Make = Callable[[argparse.Namespace], security.Entity]
"""Makes the server from the options; a class or function of a module, so that a worker can import it."""

_BACKLOG = 1024
_LATE = 5.0
"""Seconds beyond its time to drain after which a worker is ended."""
_TOO_SOON = 1.0
"""Seconds: a worker that lives for less is not replaced, since the next would fail as well."""


def serve(make: Make, options: argparse.Namespace, count: int) -> int:
    """Run `count` workers until Ctrl-C or SIGTERM; the exit status."""
    try:
        sock = _listen(options)
    except OSError as error:
        print(f"listen on {options.bind} port {options.port}: {error.strerror or error}", file=sys.stderr)
        return 1
    ended = common.end_signals()
    context = multiprocessing.get_context("spawn")

    told, tell = context.Pipe(duplex=False)  # nothing is sent: its end is the message

    def start() -> SpawnProcess:
        worker = context.Process(target=_work, args=(make, options, sock, told), daemon=True)
        with security.hangup_held() if options.tls is not None else contextlib.nullcontext():
            worker.start()
        return worker

    workers: dict[SpawnProcess, float] = {}
    if options.tls is not None:
        security.pass_hangup_on(lambda: [worker.pid for worker in workers if worker.pid is not None])
    for _ in range(count):
        workers[start()] = time.monotonic()
    print("listening on {} port {}".format(*sock.getsockname()), flush=True)
    status = 0
    while not ended.is_set() and workers:
        for worker in _ended(workers, seconds=1.0):
            lived = time.monotonic() - workers.pop(worker)
            if ended.is_set():
                break
            print(f"a worker ended with exit status {worker.exitcode}", file=sys.stderr, flush=True)
            if lived < _TOO_SOON:
                status = 1
                ended.set()
            else:
                workers[start()] = time.monotonic()
    sock.close()  # nobody new may come while the workers let theirs finish
    tell.close()
    until = time.monotonic() + options.drain + _LATE
    for worker in workers:
        worker.join(max(0.0, until - time.monotonic()))
        worker.terminate()
    return status


def _ended(workers: dict[SpawnProcess, float], seconds: float) -> list[SpawnProcess]:
    """Those that have ended, after waiting for one."""
    multiprocessing.connection.wait([worker.sentinel for worker in workers], seconds)
    return [worker for worker in workers if not worker.is_alive()]


def _listen(options: argparse.Namespace) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.bind else socket.AF_INET
    host = "" if options.bind == "*" else options.bind
    return socket.create_server((host, options.port), family=family, backlog=_BACKLOG)


def _work(make: Make, options: argparse.Namespace, sock: socket.socket, told: Connection) -> None:
    """One worker: serves until a signal, or until the first process says so or is gone."""
    common.log_as(options)
    ended = common.end_signals()
    threading.Thread(target=_follow, args=(told, ended), daemon=True).start()
    net = make(options)
    try:
        security.secure(net, options)
        net.listen_on(sock)
    except LDicomError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    security.on_hangup(net)
    common.wait(ended)
    net.drain(options.drain)


def _follow(told: Connection, ended: threading.Event) -> None:
    """End when the first process closes its end of the pipe, as it does when it ends, however that is."""
    with contextlib.suppress(EOFError, OSError):
        told.recv_bytes()
    ended.set()


def processors() -> int:
    """How many cores there are for this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
