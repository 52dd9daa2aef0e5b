"""Store what peers send (C-STORE, PS3.4 Annex B) into a folder, until Ctrl-C or SIGTERM.

Takes every storage SOP class, unknown and private ones too. A file has the name of its SOP instance UID and appears
complete or not at all, before the peer is told of success. What an earlier run had not finished when it was killed is
removed at the start.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import common
import security
import workers

from ldicomnet import (
    ANY_TRANSFER,
    VERIFICATION,
    Duplicates,
    FileTarget,
    LDicomAssociate,
    LDicomDataError,
    LDicomDS,
    Message,
    Priority,
    RejectReason,
    RejectResult,
    RejectSource,
    Status,
    remove_abandoned_files,
)

DICOM_ROOT = "1.2.840.10008."
STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
OTHER_STORAGE = frozenset(
    "1.2.840.10008.5.1.4." + tail
    for tail in ("34.1", "34.7", "34.10", "38.1", "39.1", "43.1", "44.1", "45.1")
)
"""Storage SOP classes outside the storage root: RT instructions, hanging protocols, palettes, implant templates."""
DUPLICATES = (
    "an instance that is there already: replace puts the new one in its place; keep leaves the old one, with success "
    "if it is the same bytes, else 0111H; refuse leaves it and answers 0111H (keep and refuse need hard links)"
)


def is_storage(uid: str) -> bool:
    """Whether a SOP class is, or may be, one of storage: the standard's, and all private ones."""
    return uid.startswith(STORAGE_ROOT) or uid in OTHER_STORAGE or not f"{uid}.".startswith(DICOM_ROOT)


class StoreScp(security.Entity):
    """Accepts storage and verification, and writes each instance to a file."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        common.configure(self, options)
        self.sync_files = not options.no_sync
        self._options = options

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        if self._options.strict and associate.get_called() != self._options.aetitle:
            self.send_associate_reject(RejectResult.PERMANENT, RejectSource.USER, RejectReason.CALLED)
            return
        self.send_associate_accept(associate.accept(self._supported, max_length=self._options.max_pdu))

    def _supported(self, abstract_syntax: str) -> Sequence[str] | None:
        if abstract_syntax == VERIFICATION:
            return common.UNCOMPRESSED
        if not is_storage(abstract_syntax):
            return None
        return ANY_TRANSFER if self._options.accept_all else common.UNCOMPRESSED

    def on_begin_data(self, presentation_id: int, message: Message) -> FileTarget | None:
        """The file that an instance streams into, unless it is refused before its data set has come."""
        if message.name != "c_store_request":
            return None
        associate = self.get_associate()
        abstract = associate.get_abstract(presentation_id) if associate else ""
        try:
            path = Path(self._options.output_directory, message.file_name)
        except LDicomDataError:
            message.refuse(Status.INVALID_OBJECT_INSTANCE)
            return None
        if message.sop_class_uid != abstract or not is_storage(abstract):
            message.refuse(Status.CLASS_NOT_SUPPORTED)
            return None
        duplicates = Duplicates(self._options.duplicates)
        if duplicates is Duplicates.REFUSE and os.path.lexists(path):
            message.refuse(Status.DUPLICATE_INSTANCE)  # one that comes meanwhile is found at the end
            return None
        return FileTarget(path, duplicates)

    def on_receive_c_store_request(
        self,
        presentation_id: int,
        message_id: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        priority: Priority,
        move_ae: str,
        move_message_id: int,
        dataset: LDicomDS | None,
    ) -> None:
        status = Status.SUCCESS
        if dataset is None or not dataset.size:
            status = Status(0xC000)
        elif self._options.verbose:
            path = Path(self._options.output_directory, dataset.file_name)
            print(f"stored {path}, {dataset.size} bytes, {dataset.transfer_syntax}", flush=True)
        self.send_c_store_response(presentation_id, message_id, sop_class_uid, sop_instance_uid, status)


def start(options: argparse.Namespace) -> StoreScp:
    """The server, once what a killed one left is gone; each worker does this."""
    for folder in (options.output_directory, None):
        try:
            for name in remove_abandoned_files(folder):
                logging.info("removed %s from %s: it was never finished", name, folder or "the temporary folder")
        except LDicomDataError as error:
            logging.warning("%s", error)
    return StoreScp(options)


def count(text: str) -> int:
    """A number of processes given as an option."""
    if text.isascii() and text.isdigit() and int(text) <= 256:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 256")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The program's options."""
    parser = common.parser(__doc__ or "", "STORESCP", None)
    parser.add_argument("-od", "--output-directory", metavar="DIR", default=".", help="where the files go")
    parser.add_argument("--strict", action="store_true", help="reject associations that call another AE title")
    parser.add_argument("--no-sync", action="store_true", help="do not wait for the disk before answering success")
    parser.add_argument(
        "--duplicates",
        metavar="HOW",
        choices=[one.value for one in Duplicates],
        default=Duplicates.REPLACE.value,
        help=DUPLICATES,
    )
    parser.add_argument("+xa", "--accept-all", action="store_true", help="take any transfer syntax, also compressed")
    parser.add_argument(
        "--workers", metavar="N", type=count, default=1, help="processes that share the port; 0: one for each core"
    )
    options = parser.parse_args(arguments)
    if not Path(options.output_directory).is_dir():
        parser.error(f"-od: there is no folder {options.output_directory!r}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    options = parse(arguments)
    common.log_as(options)
    number = options.workers or workers.processors()
    return common.serve(start(options), options) if number == 1 else workers.serve(start, options, number)


if __name__ == "__main__":
    sys.exit(main())
