"""Store what peers send (C-STORE, PS3.4 Annex B) into a folder, until Ctrl-C or SIGTERM.

Takes every storage SOP class, unknown and private ones too. A file has the name of its SOP instance UID and appears
complete or not at all, before the peer is told of success; an instance that is there already is replaced.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import common

from ldicomnet import (
    ANY_TRANSFER,
    VERIFICATION,
    LDicomAssociate,
    LDicomDataError,
    LDicomDS,
    LDicomNet,
    Priority,
    RejectReason,
    RejectResult,
    RejectSource,
    Status,
)

DICOM_ROOT = "1.2.840.10008."
STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
OTHER_STORAGE = frozenset(
    "1.2.840.10008.5.1.4." + tail
    for tail in ("34.1", "34.7", "34.10", "38.1", "39.1", "43.1", "44.1", "45.1")
)
"""Storage SOP classes outside the storage root: RT instructions, hanging protocols, palettes, implant templates."""


_NO_INSTANCE = Status.INVALID_OBJECT_INSTANCE


def is_storage(uid: str) -> bool:
    """Whether a SOP class is, or may be, one of storage: the standard's, and all private ones."""
    return uid.startswith(STORAGE_ROOT) or uid in OTHER_STORAGE or not f"{uid}.".startswith(DICOM_ROOT)


class StoreScp(LDicomNet):
    """Accepts storage and verification, and writes each instance to a file."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        common.configure(self, options)
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
        status = self._store(presentation_id, sop_class_uid, dataset) if sop_instance_uid else _NO_INSTANCE
        self.send_c_store_response(presentation_id, message_id, sop_class_uid, sop_instance_uid, status)

    def _store(self, presentation_id: int, sop_class_uid: str, dataset: LDicomDS | None) -> Status:
        """Write one instance; the status that says how it went (PS3.4 Table B.2-1)."""
        associate = self.get_associate()
        abstract = associate.get_abstract(presentation_id) if associate else ""
        if sop_class_uid != abstract or not is_storage(abstract):
            return Status.CLASS_NOT_SUPPORTED
        if dataset is None or not dataset.size:
            return Status(0xC000)
        try:
            path = Path(self._options.output_directory, dataset.file_name)
        except LDicomDataError:
            return _NO_INSTANCE
        try:
            dataset.save(path, durable=not self._options.no_sync)
        except LDicomDataError as error:
            print(error, file=sys.stderr, flush=True)
            return Status.REFUSED_OUT_OF_RESOURCES
        if self._options.verbose:
            print(f"stored {path}, {dataset.size} bytes, {dataset.transfer_syntax}", flush=True)
        return Status.SUCCESS


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The program's options."""
    parser = common.parser(__doc__ or "", "STORESCP", None)
    parser.add_argument("-od", "--output-directory", metavar="DIR", default=".", help="where the files go")
    parser.add_argument("--strict", action="store_true", help="reject associations that call another AE title")
    parser.add_argument("--no-sync", action="store_true", help="do not wait for the disk before answering success")
    parser.add_argument("--accept-all", action="store_true", help="+xa: take any transfer syntax, compressed ones too")
    given = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(["--accept-all" if argument == "+xa" else argument for argument in given])
    if not Path(options.output_directory).is_dir():
        parser.error(f"-od: there is no folder {options.output_directory!r}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    options = parse(arguments)
    common.log_as(options)
    return common.serve(StoreScp(options), options)


if __name__ == "__main__":
    sys.exit(main())
