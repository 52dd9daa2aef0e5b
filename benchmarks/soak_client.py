"""Clients of the soak that say what they were told: ldicomnet or pynetdicom, one association for each folder.

    soak_client.py ldicomnet  --port P --dir DIR --log FILE [--window N]
    soak_client.py pynetdicom --port P --dir DIR --log FILE

Each folder in DIR is sent in an association of its own, echoes first. For each object that was acknowledged with
success a line goes to FILE at once, with its SOP instance UID and the SHA-1 of the data set that was sent: a process
that is killed has said what it knew. All waits end after a few seconds, and the first association that fails is the
last. The exit status is 0 if all was acknowledged, and 75 if pynetdicom threw an answer away that had come: now and
then its reactor takes it from who waits for it, logs "Received unexpected ... service message", and waits no more.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import driver, folders
from ldicomnet import VERIFICATION, LDicomAssociate, LDicomNet, Status, Timeouts

LIMIT = 5
"""Seconds for whatever the server has to do."""
TIMEOUTS = Timeouts(connect=LIMIT, artim=LIMIT, association=LIMIT, dimse=LIMIT, release=LIMIT, pdu=LIMIT, send=LIMIT)
OWN_FAULT = 75
UNEXPECTED = "Received unexpected"
Told = Callable[[str], None]
"""Takes the UID of an instance that was acknowledged."""


class Log:
    """Lines that are in the file when `told` returns."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._paths = {path.stem: path for path in folder.rglob("*.dcm")}
        self.left = set(self._paths)
        """Instances that were not acknowledged."""

    def told(self, uid: str) -> None:
        """An instance was acknowledged; one that was never sent is not noted."""
        path = self._paths.get(uid)
        if path is None:
            return
        self.left.discard(uid)
        digest = folders.stored(path)[2].hex()
        os.write(self._descriptor, json.dumps({"uid": uid, "sha1": digest}).encode() + b"\n")


class Witness(logging.Handler):
    """Sees pynetdicom throw an answer away."""

    has_seen = False

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a warning."""
        self.has_seen = self.has_seen or record.getMessage().startswith(UNEXPECTED)


class Store(driver.Store):
    """A folder, by the driver of the benchmarks."""

    abstract_syntaxes = (VERIFICATION, *driver.STORAGE)

    def __init__(self, options: argparse.Namespace, told: Told) -> None:
        super().__init__(options)
        self.timeouts = TIMEOUTS
        self._told = told
        self._contexts = {uid: 2 * place + 1 for place, uid in enumerate(self.abstract_syntaxes)}

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        self.send_c_echo_request(1, self.next_message_id())

    def on_receive_c_echo_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: Status
    ) -> None:
        associate = self.get_associate()
        assert associate is not None
        super().on_receive_associate_accept(associate)

    def on_receive_c_store_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status
    ) -> None:
        if status == Status.SUCCESS:
            self._told(sop_instance_uid)
        super().on_receive_c_store_response(presentation_id, message_id, sop_class_uid, sop_instance_uid, status)


def ldicomnet(options: argparse.Namespace, folder: Path, told: Told) -> None:
    """One association."""
    words = ["store", "--port", str(options.port), "--dir", str(folder), "--window", str(options.window)]
    Store(driver.parse(words), told).run()


def pynetdicom(options: argparse.Namespace, folder: Path, told: Told) -> None:
    """One association."""
    from pynetdicom import AE

    from benchmarks.driver_pynetdicom import STORAGE, SUCCESS, SYNTAXES

    entity = AE()
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = LIMIT
    for abstract_syntax in (VERIFICATION, *STORAGE):
        entity.add_requested_context(abstract_syntax, SYNTAXES)
    association = entity.associate("127.0.0.1", options.port)
    if not association.is_established:
        print(f"no association: rejected {association.is_rejected}", file=sys.stderr)
        return
    association.send_c_echo()
    for path in sorted(folder.iterdir()):
        status = association.send_c_store(path).get("Status") if association.is_established else None
        if status == SUCCESS:
            told(path.stem)
        else:
            print(f"status {status}, aborted {association.is_aborted}", file=sys.stderr)
    association.release()


STACKS = {"ldicomnet": ldicomnet, "pynetdicom": pynetdicom}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("stack", choices=sorted(STACKS))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--window", type=int, default=1, help="most operations at once, of ldicomnet")
    options = parser.parse_args()
    log, witness = Log(options.log, options.dir), Witness()
    logging.getLogger("pynetdicom").addHandler(witness)
    for folder in sorted(options.dir.iterdir()):
        STACKS[options.stack](options, folder, log.told)
        if log.left.intersection(path.stem for path in folder.iterdir()):
            break
    LDicomNet.shut_down()
    if witness.has_seen:
        return OWN_FAULT
    return 1 if log.left else 0


if __name__ == "__main__":
    sys.exit(main())
