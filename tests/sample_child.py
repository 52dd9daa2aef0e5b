"""Client samples, each run in a process of its own that is forked from one which has imported everything already.

For tests that run hundreds of them. Importing this module imports the samples; the forking process does it once.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
sys.path.insert(0, str(SAMPLES))

import echo_scu  # noqa: E402
import pydicom.filereader  # noqa: E402, F401 - what the library imports only when it needs it
import store_scu  # noqa: E402

_UNTOLD = 255
"""What multiprocessing gives as exit status where the forking process did not tell it, which happens under load."""
_MAIN = {"echo_scu": echo_scu.main, "store_scu": store_scu.main}
if sys.platform == "win32":
    _context = multiprocessing.get_context("spawn")
else:
    _context = multiprocessing.get_context("forkserver")
    _context.set_forkserver_preload([__name__])


def _child(name: str, arguments: list[str], errors: str) -> None:
    """In the new process: standard output goes nowhere, standard error into a file."""
    for target, path in ((1, os.devnull), (2, errors)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, target)
        os.close(descriptor)
    status: object = 1
    try:
        status = _MAIN[name](arguments)
    except SystemExit as ending:
        status = ending.code
    finally:
        _status_file(errors).write_text(str(status), encoding="ascii")
    sys.exit(int(str(status)))


def _status_file(errors: str) -> Path:
    """Where a child notes its exit status."""
    return Path(f"{errors}.status")


def run(name: str, arguments: list[str], errors: Path, seconds: float) -> int:
    """Run a sample to its end, or for so long; its exit status, negative when it was killed."""
    process = _context.Process(target=_child, args=(name, arguments, str(errors)), daemon=True)
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
    status = process.exitcode
    if status == _UNTOLD and _status_file(str(errors)).exists():
        status = int(_status_file(str(errors)).read_text(encoding="ascii"))
    process.close()
    return -1 if status is None else status
