"""How many associations a listening object has, and whether one more may come; knows no connection and no PDU."""

from __future__ import annotations

import threading

from .timing import Limits


class Admission:
    """Counts the associations of one listening object: altogether, by host, and by calling AE title.

    Connections without an association are counted elsewhere, so that peers who say nothing use up no association.
    Any thread may call.
    """

    def __init__(self) -> None:
        self._limits = Limits()
        self._lock = threading.Lock()
        self._count = 0
        self._hosts: dict[str, int] = {}
        self._titles: dict[str, int] = {}
        self._is_closed = False

    def enter(self, host: str, title: str) -> str:
        """Count one more and return "", or say why it may not come."""
        limits = self._limits
        with self._lock:
            of_host, of_title = self._hosts.get(host, 0), self._titles.get(title, 0)
            if self._is_closed:
                return "this object takes no more associations"
            for count, most, whose in (
                (self._count, limits.associations, ""),
                (of_host, limits.associations_of_host, f" of host {host}"),
                (of_title, limits.associations_of_title, f" of AE title {title!a}"),
            ):
                if most is not None and count >= most:
                    return f"{count} associations{whose} stand, and {most} may"
            self._count += 1
            self._hosts[host], self._titles[title] = of_host + 1, of_title + 1
        return ""

    def leave(self, host: str, title: str) -> None:
        """One that had entered is over."""
        with self._lock:
            self._count -= 1
            for counts, name in ((self._hosts, host), (self._titles, title)):
                counts[name] -= 1
                if not counts[name]:  # a peer may have any number of titles, one after the other
                    del counts[name]

    def open(self, limits: Limits) -> None:
        """From now on as many may come as `limits` allow."""
        self._limits = limits
        self._is_closed = False

    def close(self) -> None:
        """No more may come."""
        self._is_closed = True

    @property
    def count(self) -> int:
        """How many there are."""
        return self._count
