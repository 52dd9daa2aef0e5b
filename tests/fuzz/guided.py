"""python -m tests.fuzz.guided TARGET: the same targets, with inputs that atheris finds by what they reach.

atheris is the extra `fuzz` of pyproject.toml; it has no wheel for every system and Python. What stands behind TARGET is
libFuzzer's, such as -max_total_time=60, -max_len=4096 or -runs=100000.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from zlib import crc32

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: pip install -e .[fuzz] (it has no wheel for every system and Python)")

with atheris.instrument_imports(include=["ldicomnet"]):
    import ldicomnet  # noqa: F401

    from ..spoiling import scratch
    from . import corpus
    from .mutations import LARGEST
    from .run import MEMORY_EVERY, Finding, check, describe, quiet
    from .targets import TARGETS, Target

USAGE = "python -m tests.fuzz.guided TARGET [-max_total_time=SECONDS ...]"


def main(arguments: list[str]) -> int:
    """Run until something is found, or for as long as libFuzzer is told; the exit status."""
    if not arguments or arguments[0] not in TARGETS:
        print(f"usage: {USAGE}\ntargets: {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    target, folder = TARGETS[arguments[0]], scratch()
    for name, data in corpus.load(target.folder).items():
        Path(folder, name).write_bytes(data)
    command = [sys.argv[0], f"-max_len={LARGEST}", f"-artifact_prefix={folder}/", *arguments[1:], folder]
    child = os.fork()  # libFuzzer ends its process, and cleans up nothing
    if not child:
        with quiet():
            atheris.Setup(command, lambda data: one_input(target, data))
            atheris.Fuzz()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the child
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def one_input(target: Target, data: bytes) -> None:
    """Run a target; what it does not stand is saved in the corpus."""
    try:
        check(target, data, measures_memory=crc32(data) % MEMORY_EVERY == 0)
    except Finding as finding:
        name = f"found-{crc32(data):08x}"
        path = corpus.save(target.folder, name, data, f"target {target.name}, guided: {finding}"[:400])
        print(f"FOUND: target {target.name}, {len(data)} bytes, saved as {path}\n{describe(data, finding)}", flush=True)
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
