"""Send files to a storage SCP (C-STORE, PS3.4 Annex B). Exit status 0 when all were stored.

Folders are searched for DICOM files. Each SOP class is offered in the transfer syntaxes of its files; uncompressed ones
also in the others, so that a file can be converted where the peer wants it otherwise.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import common
import security

from ldicomnet import (
    AbortReason,
    AbortSource,
    ErrorCode,
    LDicomAssociate,
    LDicomDataError,
    LDicomDS,
    LDicomError,
    LDicomNet,
    RejectReason,
    RejectResult,
    RejectSource,
    SecureMode,
    Status,
)

MOST_CONTEXTS = 128
Offer = tuple[str, tuple[str, ...]]
"""Abstract syntax and transfer syntaxes of a presentation context."""


def find_files(paths: Iterable[str]) -> Iterator[Path]:
    """The files named, and all within the folders named."""
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(found for found in path.rglob("*") if found.is_file())
        else:
            yield path


def load_files(paths: Iterable[Path]) -> tuple[list[tuple[Path, LDicomDS]], list[str]]:
    """What can be sent, and why the rest cannot."""
    loaded, refused = [], []
    for path in paths:
        try:
            dataset = LDicomDS.load(path)
            if not (dataset.sop_class_uid and dataset.sop_instance_uid):
                raise LDicomDataError(ErrorCode.FORMAT, f"{path} has no SOP class or instance UID")
            loaded.append((path, dataset))
        except LDicomDataError as error:
            refused.append(str(error))
    return loaded, refused


def offers_for(dataset: LDicomDS) -> list[Offer]:
    """The contexts that a file would like: its own transfer syntax, then, uncompressed, any it can be converted to."""
    own = dataset.transfer_syntax
    if own not in common.UNCOMPRESSED:
        return [(dataset.sop_class_uid, (own,))]
    others = tuple(uid for uid in common.UNCOMPRESSED if uid != own)
    return [(dataset.sop_class_uid, (own,)), (dataset.sop_class_uid, others)]


def group(files: list[tuple[Path, LDicomDS]]) -> list[tuple[list[Offer], list[tuple[Path, LDicomDS]]]]:
    """Files by association, each with up to 128 contexts: one association, for all but very mixed files."""
    groups: list[tuple[list[Offer], list[tuple[Path, LDicomDS]]]] = []
    for path, dataset in files:
        wanted = offers_for(dataset)
        for offers, members in groups:
            missing = [offer for offer in wanted if offer not in offers]
            if len(offers) + len(missing) <= MOST_CONTEXTS:
                offers += missing
                members.append((path, dataset))
                break
        else:
            groups.append((wanted, [(path, dataset)]))
    return groups


class StoreScu(security.Entity):
    """One association that sends files, one after the other."""

    def __init__(self, options: argparse.Namespace, offers: list[Offer], files: list[tuple[Path, LDicomDS]]) -> None:
        super().__init__()
        common.configure(self, options)
        self._options = options
        self._offers = offers
        self._waiting = deque(files)
        self._current: tuple[Path, LDicomDS] | None = None
        self._message_id = 0
        self._is_closed = threading.Event()
        self.stored = 0
        self.failures: list[str] = []

    def run(self) -> None:
        """Connect, send everything, and wait for the end."""
        try:
            security.secure(self, self._options)
            self.connect("", 0, self._options.host, self._options.port)
            common.wait(self._is_closed)
        except KeyboardInterrupt:
            self.close_forced()
            raise

    def on_connect(self, error: ErrorCode) -> None:
        if error:
            self._give_up(f"no connection: {error.name}")
            self._is_closed.set()
        elif self.get_secure_mode() == SecureMode.NONE:
            self._request()

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        if error:
            self._give_up(f"no secure link: {error.name}")
        else:
            self._request()

    def _request(self) -> None:
        """Ask for the association."""
        associate = common.associate(self._options)
        for abstract_syntax, transfer_syntaxes in self._offers:
            associate.add_context(abstract_syntax, transfer_syntaxes)
        self.send_associate_request(associate)

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        self._send_next(associate)

    def _send_next(self, associate: LDicomAssociate) -> None:
        """Send the next file that can be sent; release when there is none."""
        while self._waiting:
            path, dataset = self._current = self._waiting.popleft()
            presentation_id = self._context_for(associate, dataset)
            if not presentation_id:
                self._fail(f"{path}: the peer accepts neither its SOP class nor a transfer syntax it can be had in")
                continue
            self._message_id = self.next_message_id()
            try:
                self.send_c_store_request(
                    presentation_id,
                    self._message_id,
                    dataset.sop_class_uid,
                    dataset.sop_instance_uid,
                    dataset=dataset,
                )
                return
            except LDicomError as error:
                self._fail(f"{path}: {error}")
                if not self.is_associated():
                    return
        self._current = None
        self.send_release_request()

    def _context_for(self, associate: LDicomAssociate, dataset: LDicomDS) -> int:
        """ID of the accepted context to use: of the file's own transfer syntax, else one it can be converted to."""
        accepted = {
            context.transfer_syntaxes[0]: context.presentation_id
            for context in associate.presentation_contexts
            if context.is_accepted and context.abstract_syntax == dataset.sop_class_uid
        }
        possible = [dataset.transfer_syntax]
        if dataset.transfer_syntax in common.UNCOMPRESSED:
            possible += common.UNCOMPRESSED
        return next((accepted[uid] for uid in possible if uid in accepted), 0)

    def on_receive_c_store_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status
    ) -> None:
        associate = self.get_associate()
        if self._current is None or message_id != self._message_id or associate is None:
            self._give_up(f"the peer answered message {message_id}, which was not sent")
            self.send_abort(AbortSource.USER, AbortReason.UNKNOWN)
            return
        path, dataset = self._current
        if status == Status.SUCCESS or status.is_warning:
            self.stored += 1
            self._current = None
            self.on_stored(path, dataset, status)
        else:
            self._fail(f"{path}: the peer answered with status {status:04X}H")
        self._send_next(associate)

    def on_stored(self, path: Path, dataset: LDicomDS, status: Status) -> None:
        """The peer has stored a file."""
        if self._options.verbose:
            remark = f" with warning {status:04X}H" if status else ""
            print(f"stored{remark}: {path}", flush=True)

    def on_receive_associate_reject(self, result: RejectResult, source: RejectSource, reason: RejectReason) -> None:
        self._give_up(f"association rejected: result {result}, source {source}, reason {reason}")

    def on_receive_abort(self, source: AbortSource, reason: AbortReason) -> None:
        self._give_up(f"association aborted: source {source}, reason {reason}")

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        if error or self._current or self._waiting:
            self._give_up(f"connection ended: {error.name}")
        self._is_closed.set()

    def _fail(self, why: str) -> None:
        self._current = None
        self.failures.append(why)

    def _give_up(self, why: str) -> None:
        """What is not stored now never will be."""
        unsent = [self._current, *self._waiting] if self._current else list(self._waiting)
        self._waiting.clear()
        if unsent or not self.failures:
            self._fail(f"{why}; {len(unsent)} files not stored")


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    parser = common.parser(__doc__ or "", "STORESCU", "ANY-SCP")
    parser.add_argument("host", help="name or address of the peer")
    parser.add_argument("port", type=common.port, help="port of the peer")
    parser.add_argument("path", nargs="+", help="DICOM file, or folder with some")
    options = parser.parse_args(arguments)
    common.log_as(options)
    files, failures = load_files(find_files(options.path))
    stored = 0
    try:
        for offers, members in group(files):
            scu = StoreScu(options, offers, members)
            scu.run()
            stored += scu.stored
            failures += scu.failures
    except LDicomError as error:
        failures.append(str(error))
    except KeyboardInterrupt:
        failures.append("interrupted")
    for failure in failures:
        print(f"store_scu: {failure}", file=sys.stderr)
    if options.verbose or failures:
        print(f"{stored} stored, {len(failures)} failed")
    return 1 if failures or not stored else 0


if __name__ == "__main__":
    sys.exit(main())
