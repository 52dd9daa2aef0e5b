"""Certificates for tests: those of `samples/make_certificates.py`, made once in a process, and gone when it ends."""

from __future__ import annotations

import atexit
import functools
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "samples"))

import make_certificates

PASSWORD = make_certificates.PASSWORD


@functools.cache
def folder() -> Path:
    """Where they are."""
    made = Path(tempfile.mkdtemp(prefix="ldicomnet-certificates-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    # "acceptor" is what the peer of a connection in memory is called.
    make_certificates.make(made, ("localhost", "127.0.0.1", "::1", "acceptor", "*.star.example"))
    return made


def certificate(name: str) -> str:
    """The path of a certificate."""
    return str(folder() / f"{name}.pem")


def key(name: str) -> str:
    """The path of its private key."""
    return str(folder() / f"{name}.key")


def revoked(name: str = "ca") -> str:
    """The path of what an issuer has revoked."""
    return str(folder() / f"{name}.crl")
