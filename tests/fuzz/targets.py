"""What is fuzzed: one table of targets. Each reads bytes that a peer, or a file, may give it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ldicomnet import ANY_TRANSFER, LDicomAssociate, LDicomDataError, LDicomDS, LDicomError, LDicomProtocolError
from ldicomnet import pdu as pdus
from ldicomnet.command_set import decode_elements, encode_elements, to_dataset
from ldicomnet.items import (
    PRESENTATION_CONTEXT_AC,
    USER_INFORMATION,
    AnsweredContext,
    ProposedContext,
    decode_user_information,
    encode_user_information,
)
from ldicomnet.message import decode as decode_message
from ldicomnet.part10 import EXPLICIT_LITTLE, IMPLICIT_LITTLE, decode_header
from ldicomnet.pdu import AssociateAccept, AssociateRequest
from ldicomnet.user_information import UserInformation
from ldicomnet.wire import Cursor

from ..spoiling import scratch
from . import iscl, pieces, seeds
from .conversations import acceptor, curious, requestor, server
from .pieces import Walker
from .streams import inbound


def pdu(data: bytes) -> None:
    """A PDU; what was read, encoded and read again is the same."""
    found = pdus.decode(data)
    again = found.encode()
    assert pdus.decode(again) == found, "it is another one when it is encoded"


def user_information(data: bytes) -> None:
    """The content of a user information item, into items and into the record."""
    found = decode_user_information(data)
    UserInformation().read(found)
    if len(data) <= 0xFFFF:
        kind, content = Cursor(encode_user_information(found), "user information").item()
        assert (kind, decode_user_information(content)) == (USER_INFORMATION, found), "it is another one encoded"


def context(data: bytes) -> None:
    """A presentation context item of a request or an accept, whatever its type says."""
    kind, content = Cursor(data, "presentation context").item()
    record = AnsweredContext if kind == PRESENTATION_CONTEXT_AC else ProposedContext
    found = record.decode(content)
    _kind, again = Cursor(found.encode(), "presentation context").item()
    assert record.decode(again) == found, "it is another one when it is encoded"


def command_set(data: bytes) -> None:
    """A command set to elements, and to a `pydicom.Dataset`."""
    elements = decode_elements(data)
    kept = {number: value for number, value in elements.items() if number}
    again = decode_elements(encode_elements(elements))
    again.pop(0)
    assert again == kept, "it is another one when it is encoded"
    to_dataset(data)


def message(data: bytes) -> None:
    """A command set to a message, and everything that is asked of one."""
    found = decode_message(1, data)
    with suppress(LDicomDataError):  # a SOP instance UID that names no file
        _ = found.file_name
    _ = repr(found), found.sop_class_uid, found.around_id()
    if found.row is not None:
        found.arguments()
    same = found.again(data, found.message_id)
    assert same.elements == found.elements and same.sop_instance_uid == found.sop_instance_uid


def request(data: bytes) -> None:
    """An A-ASSOCIATE-RQ, its answer, and what the requestor makes of that."""
    asked = _decoded(data, AssociateRequest)
    if asked is None:
        return
    associate = LDicomAssociate.from_request(asked)
    answer = associate.accept(lambda uid: ANY_TRANSFER, user_identity_response=b"ticket").to_accept(associate)
    accepted = LDicomAssociate.from_accept(_decoded(answer.encode(), AssociateAccept), associate)
    ids, asked_for = ([one.presentation_id for one in each.presentation_contexts] for each in (accepted, associate))
    assert ids == asked_for, "not every context was answered"


def accept(data: bytes) -> None:
    """An A-ASSOCIATE-AC that answers a request of ours."""
    answer = _decoded(data, AssociateAccept)
    if answer is None:
        return
    asked = LDicomAssociate.from_request(_decoded(seeds.REQUEST, AssociateRequest))
    found = LDicomAssociate.from_accept(answer, asked)
    offered = {one.presentation_id: one.transfer_syntaxes for one in asked.presentation_contexts}
    for one in found.presentation_contexts:
        assert not one.is_accepted or one.transfer_syntaxes[0] in offered[one.presentation_id], one


def _decoded(data: bytes, kind: type) -> object:
    found = pdus.decode(data)
    return found if isinstance(found, kind) else None


def header(data: bytes) -> None:
    """The header of a DICOM file."""
    found = decode_header(data)
    assert found.offset <= len(data)


_file = Path(scratch(), "input.dcm")


def file(data: bytes) -> None:
    """A DICOM file, as far as `LDicomDS.load` reads it."""
    _file.write_bytes(data)
    found = LDicomDS.load(_file)
    assert 0 <= found.size <= len(data)


def data_set(data: bytes) -> None:
    """A data set, decoded and printed; what pydicom raises of single values is the reader's to handle."""
    for transfer_syntax in (EXPLICIT_LITTLE, IMPLICIT_LITTLE):
        try:
            found = LDicomDS.from_bytes(data, transfer_syntax).dataset
        except LDicomDataError:
            continue
        with suppress(Exception):
            str(found)


class Target(NamedTuple):
    """One row of the table."""

    name: str
    run: Callable[[bytes], None]
    errors: tuple[type[LDicomError], ...]
    """What it may raise; nothing else."""
    folder: str
    """Where its inputs are in the corpus."""
    walk: Walker
    """Finds the pieces of its inputs."""
    seconds: float = 0.2
    """Seconds of processor time for each 64 KB of input that has begun."""
    memory: int = 3 << 20
    """Bytes that it may allocate at once, beside `run.FACTOR` for each byte of input."""


STREAMS = 6 * 0.05, 12 << 20
"""Seconds and memory where the input is read six times, and what each of 10,000 PDUs told is kept and compared."""
LIVE = 0.5
"""Seconds likewise: 64 KB may ask for a thousand things, each of which is done and answered."""
PYDICOM = 1.0, 32 << 20
"""Seconds and memory of what pydicom makes: each element an object, and of all of them a text."""
PROTOCOL, DATA = (LDicomProtocolError,), (LDicomDataError,)
TARGETS = {
    row.name: row
    for row in (
        Target("pdu", pdu, PROTOCOL, "pdu", pieces.pdus),
        Target("user_information", user_information, PROTOCOL, "user_information", pieces.items),
        Target("context", context, PROTOCOL, "context", pieces.items),
        Target("command_set", command_set, PROTOCOL, "message", pieces.command_set),
        Target("message", message, PROTOCOL, "message", pieces.command_set),
        Target("request", request, PROTOCOL, "pdu", pieces.pdus),
        Target("accept", accept, PROTOCOL, "pdu", pieces.pdus),
        Target("inbound", inbound, (), "inbound", pieces.pdus, *STREAMS),
        Target("header", header, DATA, "header", pieces.file),
        Target("file", file, DATA, "file", pieces.file),
        Target("data_set", data_set, (), "data_set", pieces.data_set, *PYDICOM),
        Target("acceptor", acceptor, (), "acceptor", pieces.pdus, LIVE),
        Target("curious", curious, (), "acceptor", pieces.pdus, LIVE),
        Target("requestor", requestor, (), "requestor", pieces.pdus, LIVE),
        Target("server", server, (), "acceptor", pieces.pdus, LIVE),
        Target("iscl_packets", iscl.packets, (), "iscl_acceptor", pieces.packets, 4 * 0.05),
        Target("iscl_acceptor", iscl.acceptor, (), "iscl_acceptor", pieces.packets, LIVE),
        Target("iscl_requestor", iscl.requestor, (), "iscl_requestor", pieces.packets, LIVE),
    )
}
