"""The storage SCP sample that kills itself with SIGKILL right before one of its calls, or in the middle of a write.

`python -m tests.killed NUMBER [options of store_scp.py]`: NUMBER counts the calls of `storing.CALLS` from 0.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from .storing import Faults, is_short, store_scp


class Killing(Faults):
    """Stands in for `os`."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._left = number

    def _call(self, name: str, real: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        if not self._left:
            if name.startswith("write"):
                is_short(name, real, *arguments)
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        return super()._call(name, real, *arguments, **keywords)


if __name__ == "__main__":
    with Killing(int(sys.argv[1])).in_place():
        sys.exit(store_scp.main(sys.argv[2:]))
