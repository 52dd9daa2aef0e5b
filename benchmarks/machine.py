"""What the figures were taken on, and what this machine lacks for taking them."""

from __future__ import annotations

import datetime
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks import processes, procfs, stacks
from benchmarks.cases import Case, Pair

MEMORY_FOLDER = Path("/dev/shm")
OPTIONAL = {"rich": "tables are plain text", "matplotlib": "--plot does not work"}
DESCRIPTORS = 65536


def describe() -> dict[str, str]:
    """The machine, the interpreter and the peers."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": str(cores),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "commit": _commit(),
        **stacks.versions(),
    }


def lacks(cases: list[Case]) -> list[str]:
    """One line for each thing that is missing, with what comes of it."""
    lines = {}
    for case in cases:
        for pair in case.pairs:
            for name in missing(case, pair):
                lines[name] = f"{name} is not here: its rows are left out"
    found = list(lines.values())
    if not procfs.HERE:
        found.append("/proc is not here (it is Linux's): CPU time and memory of servers are not measured")
    if not MEMORY_FOLDER.is_dir():
        found.append(f"{MEMORY_FOLDER} is not here: servers write to {tempfile.gettempdir()}")
    if any(case.on_disk for case in cases) and _is_in_memory(Path(tempfile.gettempdir()).resolve()):
        found.append(f"{tempfile.gettempdir()} is in memory: store-durable says nothing (TMPDIR names another folder)")
    return found + [f"{module} is not here: {what}" for module, what in OPTIONAL.items() if not _has(module)]


def missing(case: Case, pair: Pair) -> list[str]:
    """Programs and packages without which a pair cannot be measured."""
    rows: list[stacks.Server | stacks.Client] = [stacks.CLIENTS[pair.client, case.command_of(pair)]]
    if pair.server:
        rows.append(stacks.SERVERS[pair.server])
    return [name for name in map(stacks.missing, rows) if name]


def cannot_run() -> str:
    """Why nothing can be measured here, if so."""
    if not processes.CAN_RUN:
        return f"{platform.system()} lacks what this program starts and bounds processes with: run it on Linux or macOS"
    return "" if _has("pydicom") else "pydicom is not here, which makes the objects to send"


def memory_folder(needed: int) -> Path | None:
    """A folder whose files are in memory, with so many bytes free."""
    if not MEMORY_FOLDER.is_dir() or not os.access(MEMORY_FOLDER, os.W_OK):
        return None
    return MEMORY_FOLDER if shutil.disk_usage(MEMORY_FOLDER).free >= needed else None


def allow_descriptors() -> int:
    """Raise the limit of open files as far as it goes, for us and what we start; what it is now."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _is_in_memory(folder: Path) -> bool:
    """Whether a folder is of a file system without a disk, as far as Linux says so."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    kinds = {Path(words[1]): words[2] for words in map(str.split, mounts)}
    return next((kinds[place] for place in (folder, *folder.parents) if place in kinds), "") in ("tmpfs", "ramfs")


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"
    except (AttributeError, OSError, ValueError):
        return "?"


def _commit() -> str:
    try:
        command = ["git", "-C", str(stacks.ROOT), "rev-parse", "--short", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=stacks.TOOL_LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    return done.stdout.strip() or "?"
