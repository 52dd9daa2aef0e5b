"""The yardstick: the same bytes through plain blocking sockets, without DICOM, on the command line of driver.py.

What this program reaches is what Python's sockets can do on this machine at this moment. `echo` is a ping-pong of a
C-ECHO request and response; `store` sends each file in pieces of 16 KB behind PDU headers, one gathered write for each
MB, and the server writes them to a file as they come, headers included, and gives one small answer for each. With --tls
the sockets are those of Python's `ssl`.
"""

from __future__ import annotations

import argparse
import itertools
import os
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from benchmarks import canned, contract

ECHO, STORE = b"E", b"S"
"""The first byte of a connection says what it is for."""
LENGTH = struct.Struct(">Q")
MEGABYTE = 1 << 20
REQUEST, RESPONSE = canned.echo_request(1, 1), canned.echo_response(1, 1)
HEADER = canned.p_data(1, bytes(canned.FRAGMENT), False)[: -canned.FRAGMENT]
PIECES = MEGABYTE // canned.FRAGMENT
NUMBERS = itertools.count(1)
"""Of the files that are written."""


def _receive(connection: socket.socket, view: memoryview) -> bool:
    """Fill a buffer; False when the peer has ended."""
    while view:
        count = connection.recv_into(view)
        if not count:
            return False
        view = view[count:]
    return True


def _send(connection: socket.socket, parts: list[bytes | memoryview], total: int) -> None:
    """One gathered write, and what it left over; TLS has none, and is given all in one."""
    if isinstance(connection, ssl.SSLSocket):
        connection.sendall(b"".join(parts))
        return
    sent = connection.sendmsg(parts)
    if sent < total:
        connection.sendall(memoryview(b"".join(parts))[sent:])


# --- server ------------------------------------------------------------------------------------------------------


def _serve_echo(connection: socket.socket) -> None:
    view = memoryview(bytearray(len(REQUEST)))
    while _receive(connection, view):
        connection.sendall(RESPONSE)


def _serve_store(connection: socket.socket, folder: str) -> None:
    head, buffer = bytearray(LENGTH.size), memoryview(bytearray(MEGABYTE))
    while _receive(connection, memoryview(head)):
        (left,) = LENGTH.unpack(head)
        file = os.open(f"{folder}/{next(NUMBERS):06}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            while left:
                count = connection.recv_into(buffer[: min(left, MEGABYTE)])
                if not count:
                    return
                os.write(file, buffer[:count])
                left -= count
        finally:
            os.close(file)
        connection.sendall(RESPONSE)


def _serve(connection: socket.socket, folder: str, tls: ssl.SSLContext | None) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with tls.wrap_socket(connection, server_side=True) if tls else connection as connection:
        if connection.recv(1) == ECHO:
            _serve_echo(connection)
        else:
            _serve_store(connection, folder)


def _accept(listener: socket.socket, folder: str, tls: ssl.SSLContext | None) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, folder, tls), daemon=True).start()


def scp(options: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if options.tls else None
    if tls:
        tls.load_cert_chain(*options.tls)
    with socket.create_server(("127.0.0.1", options.port)) as listener:
        threading.Thread(target=_accept, args=(listener, options.out, tls), daemon=True).start()
        contract.serve()


# --- clients -----------------------------------------------------------------------------------------------------


def _connect(options: argparse.Namespace, purpose: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", options.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if options.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        connection = tls.wrap_socket(connection)
    connection.sendall(purpose)
    return connection


def echo(options: argparse.Namespace) -> None:
    """N times there and back."""
    view, succeeded = memoryview(bytearray(len(RESPONSE))), 0
    with _connect(options, ECHO) as connection:
        began = perf_counter()
        for _ in range(options.n):
            connection.sendall(REQUEST)
            succeeded += _receive(connection, view)
        contract.report(succeeded, perf_counter() - began)


def _pieces(path: Path, buffer: memoryview) -> Iterator[tuple[list[bytes | memoryview], int]]:
    """A file as writes: buffers, and their length."""
    left = path.stat().st_size
    prefix = [LENGTH.pack(left + len(HEADER) * -(-left // canned.FRAGMENT))]
    with path.open("rb", buffering=0) as file:
        while left:
            count = min(left, len(buffer))
            if file.readinto(buffer[:count]) != count:
                contract.fail(f"{path} became shorter")
            parts: list[bytes | memoryview] = [*prefix]
            for start in range(0, count, canned.FRAGMENT):
                parts += (HEADER, buffer[start : min(start + canned.FRAGMENT, count)])
            yield parts, sum(map(len, parts))
            left -= count
            prefix = []


def store(options: argparse.Namespace) -> None:
    """Every file of a folder."""
    paths = sorted(Path(options.dir).iterdir())
    size = sum(path.stat().st_size for path in paths)
    buffer, answer, succeeded = memoryview(bytearray(PIECES * canned.FRAGMENT)), memoryview(bytearray(len(RESPONSE))), 0
    with _connect(options, STORE) as connection:
        began = perf_counter()
        for path in paths:
            for parts, total in _pieces(path, buffer):
                _send(connection, parts, total)
            succeeded += _receive(connection, answer)
        contract.report(succeeded, perf_counter() - began, bytes=size)


if __name__ == "__main__":
    contract.run("bare.py", {"scp": scp, "echo": echo, "store": store})
