"""Loggers whose records carry the number of the association; knows nothing but `logging`."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any


def log_of(logger: logging.Logger, number: int) -> logging.LoggerAdapter[logging.Logger]:
    """`logger`, whose records then carry the association's number."""
    return _Numbered(logger, {"association": number})


class _Numbered(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: object, kwargs: MutableMapping[str, Any]) -> tuple[str, MutableMapping[str, Any]]:
        number = self.extra["association"] if self.extra else 0
        kwargs["extra"] = {"association": number}
        return f"[{number}] {msg}", kwargs
