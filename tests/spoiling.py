"""What the tests of the pure rooms share: ways to spoil bytes, and modules that may be missing."""

from __future__ import annotations

import importlib
import os
import unittest
from collections.abc import Iterator
from typing import Any

REQUIRED = bool(os.environ.get("LDICOMNET_REQUIRE_PEERS"))


def need(module: str) -> Any:
    """Import a module that only tests use; without it they are skipped, or fail where peers are required."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if REQUIRED:
            raise
        raise unittest.SkipTest(f"{module} is not installed (pip install -e .[test])") from error


def truncations(data: bytes) -> Iterator[bytes]:
    """`data` cut short at every byte."""
    return (data[:length] for length in range(len(data)))


def flips(data: bytes) -> Iterator[bytes]:
    """`data` with each bit in turn the other way round."""
    for at, byte in enumerate(data):
        for bit in range(8):
            yield replaced(data, at, bytes((byte ^ 1 << bit,)))


def replaced(data: bytes, at: int, new: bytes) -> bytes:
    """`data` with `new` over what stands at `at`."""
    return data[:at] + new + data[at + len(new) :]
