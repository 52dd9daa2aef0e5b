"""Run one command and say what it took: `timed.py DESCRIPTOR COMMAND...` writes a line of JSON to the descriptor.

A program of its own, small and started without `site`, because Linux counts the memory of whoever starts a process into
the peak of that process: what starts it must be smaller than anything that is measured. `seconds` is the wall clock of
the whole process, `cpu` its user and system time, `peak` its largest resident memory in bytes, `code` how it ended.
"""

import json
import os
import sys
import time

PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
"""Of ru_maxrss, in bytes."""


def main() -> None:
    """Start, wait, write."""
    descriptor, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(descriptor, False)
    began = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * PEAK_UNIT
    taken = {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak": peak, "code": code}
    os.write(descriptor, json.dumps(taken).encode())


if __name__ == "__main__":
    main()
