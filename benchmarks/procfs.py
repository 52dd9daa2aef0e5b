"""CPU, memory, threads and descriptors of processes that run, from Linux's /proc. Elsewhere all questions give zero."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")
HERE = (PROC / "self" / "smaps_rollup").exists()
"""Whether anything can be known."""
KIB = 1024
_FIRST_TIME = 11
"""Place of utime in /proc/PID/stat behind the name; stime, cutime and cstime follow."""


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for member in found:
        for thread in _folders(PROC / str(member) / "task"):
            found += map(int, _read(thread / "children").split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, ended ones included."""
    ticks = 0
    for member in family(pid):
        fields = _read(PROC / str(member) / "stat").rpartition(")")[2].split()
        last = _FIRST_TIME + (4 if member == pid else 2)
        ticks += sum(map(int, fields[_FIRST_TIME:last]))
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0


def peak_bytes(pid: int) -> int:
    """The largest resident memory so far of a process and each of its descendants."""
    return sum(_field(member, "status", "VmHWM:") for member in family(pid))


def shared_bytes(pid: int) -> int:
    """Memory now of a process and its descendants, with what they share counted once (PSS)."""
    return sum(_field(member, "smaps_rollup", "Pss:") for member in family(pid))


def anonymous_bytes(pid: int) -> int:
    """Memory now of a process and its descendants that is of no file: what it has allocated."""
    return sum(_field(member, "status", "RssAnon:") for member in family(pid))


def threads(pid: int) -> int:
    """Threads now of a process and its descendants."""
    return sum(_field(member, "status", "Threads:", 1) for member in family(pid))


def descriptors(pid: int) -> int:
    """Open files and sockets now of a process and its descendants."""
    return sum(len(_folders(PROC / str(member) / "fd")) for member in family(pid))


def _field(pid: int, file: str, name: str, unit: int = KIB) -> int:
    for line in _read(PROC / str(pid) / file).splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * unit
    return 0


def _folders(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []  # it has ended


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
