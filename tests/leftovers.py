"""What a process holds and must give back: threads, descriptors, objects, memory; compared before and after.

Knows the library by its threads and classes only. Where there is no /proc, descriptors and memory count as nothing.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from ldicomnet.threads import let_idle_end

_PROC = Path("/proc/self")
_HELD = ("LDicomNet", "Conversation", "Engine", "Sender", "TcpTransport", "MemoryTransport", "LDicomDS")
"""Classes of the library of which nothing may stay; those that derive from them count too."""


def descriptors() -> dict[str, str]:
    """What is open, by number."""
    found = {}
    for name in _names(_PROC / "fd"):
        try:
            found[name] = str((_PROC / "fd" / name).readlink())
        except OSError:
            continue  # the folder itself, which was open while it was listed
    return found


def resident() -> int:
    """Bytes of memory."""
    try:
        pages = (_PROC / "statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def objects() -> dict[str, int]:
    """How many there are of each kind that nothing may stay of."""
    for _ in range(3):  # what a finalizer held in its hands goes the next time
        gc.collect()
    counts = dict.fromkeys(_HELD, 0)
    for found in gc.get_objects():
        kind = type(found)
        if kind.__module__.startswith(("ldicomnet", "tests", "__main__")):
            for each in kind.__mro__:
                if each.__name__ in counts:
                    counts[each.__name__] += 1
    return counts


def stacks() -> None:
    """Where every thread stands, on standard error."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    print("threads:", *(f"{ident or 0:#x} {name}" for ident, name in names.items()), sep="\n  ", file=sys.stderr)
    faulthandler.dump_traceback(sys.__stderr__, all_threads=True)


def join_all(threads: set[threading.Thread], seconds: float) -> list[str]:
    """Wait for threads to end; the names of those that did not."""
    until = monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    return sorted(thread.name for thread in threads if thread.is_alive())


@dataclass
class Baseline:
    """What there was when this was made."""

    threads: set[threading.Thread] = field(default_factory=lambda: set(threading.enumerate()))
    objects: dict[str, int] = field(default_factory=objects)
    descriptors: dict[str, str] = field(default_factory=descriptors)

    def left(self, seconds: float) -> list[str]:
        """In words what there is more than there was, once what ends by itself had so long for it."""
        let_idle_end(seconds)
        threads = join_all(set(threading.enumerate()) - self.threads, seconds)
        more = {name: count - self.objects[name] for name, count in objects().items() if count > self.objects[name]}
        opened = sorted(descriptors().items() - self.descriptors.items())
        kinds: tuple[tuple[str, object], ...] = (("threads", threads), ("objects", more), ("descriptors", opened))
        return [f"{kind} left: {found}" for kind, found in kinds if found]


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
