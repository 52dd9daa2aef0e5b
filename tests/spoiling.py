"""What tests share: ways to spoil bytes, modules that may be missing, and a folder that goes by itself."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import tempfile
import unittest
from collections.abc import Iterator
from typing import Any

REQUIRED = bool(os.environ.get("LDICOMNET_REQUIRE_PEERS"))


def need(module: str) -> Any:
    """Import a module that only tests use; without it they are skipped, or fail where peers are required."""
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        if REQUIRED:
            raise
        raise unittest.SkipTest(f"{module} is not installed (pip install -e .[test])") from error
    if module == "hypothesis":  # which else keeps what it knows of the tests in the checkout
        importlib.import_module("hypothesis.configuration").set_hypothesis_home_dir(scratch())
    return found


def scratch() -> str:
    """A new folder that goes when the process ends."""
    folder = tempfile.mkdtemp(prefix="ldicomnet-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


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
