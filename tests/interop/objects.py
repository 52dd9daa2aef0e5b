"""The DICOM objects that the interoperability tests send, and how two encodings of one are compared.

The objects are real ones that ship inside pydicom's wheel, one for every kind of encoding, and one large
object made here.  This module knows no peer and nothing of the library under test.
"""

from __future__ import annotations

import io
import random
import zlib
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

PathName = str | PathLike[str]
PIXEL_DATA = 0x7FE00010
TRAILING_PADDING = 0xFFFCFFFC

EXPLICIT = "CT_small.dcm"
IMPLICIT = "MR_small_implicit.dcm"
BIG_ENDIAN = "MR_small_bigendian.dcm"
DEFLATED = "image_dfl.dcm"
PLAN = "rtplan.dcm"
REPORT = "test-SR.dcm"
WAVEFORM = "waveform_ecg.dcm"  # 290 KB: many PDUs at every maximum length
ODD_PIXELS = "SC_rgb_small_odd.dcm"
SINGLE_BITS = "liver_1frame.dcm"
UNCOMPRESSED = (
    EXPLICIT,
    IMPLICIT,
    PLAN,
    REPORT,
    "reportsi.dcm",
    WAVEFORM,
    ODD_PIXELS,
    SINGLE_BITS,
)
COMPRESSED = (
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "JPEG2000.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "JPEG-lossy.dcm",
)
EVERY = (*UNCOMPRESSED, BIG_ENDIAN, DEFLATED, *COMPRESSED)

# The MR files of the wheel are one instance in several encodings, and the plan's file meta information names
# another instance than its data set does.  Here every file is an instance of its own; a new UID is as long as
# the old one.
_MR = "1.3.6.1.4.1.5962.1.1.4.1.1.20040826185059.5457"
_RENAMED = {
    BIG_ENDIAN: (_MR, _MR[:-1] + "1"),
    "MR_small_RLE.dcm": (_MR, _MR[:-1] + "2"),
    "MR_small_jp2klossless.dcm": (_MR, _MR[:-1] + "3"),
    "MR_small_jpeg_ls_lossless.dcm": (_MR, _MR[:-1] + "4"),
    PLAN: ("1.2.999.999.99.9.9999.9999.20030903150023", "1.2.777.777.77.7.7777.7777.20030903150023"),
}


@dataclass(frozen=True)
class Encoded:
    """A data set as it was on the wire or in a file: what two programs have to agree on."""

    sop_instance_uid: str
    transfer_syntax: str
    data: bytes = field(repr=False)
    size: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", len(self.data))

    def decoded(self) -> pydicom.Dataset:
        """The data set, read by pydicom."""
        syntax = UID(self.transfer_syntax)
        data = zlib.decompress(self.data, -zlib.MAX_WBITS) if syntax == DeflatedExplicitVRLittleEndian else self.data
        return read_dataset(io.BytesIO(data), syntax.is_implicit_VR, syntax.is_little_endian)


def read_object(path: PathName) -> Encoded:
    """A DICOM file: the bytes that follow its file meta information, and what that says of them."""
    meta = read_file_meta_info(path)
    content = Path(path).read_bytes()
    start = 132 + 12 + int(meta.FileMetaInformationGroupLength)  # preamble, the length element, what it counts
    return Encoded(str(meta.MediaStorageSOPInstanceUID), str(meta.TransferSyntaxUID), content[start:])


def by_instance(found: list[Encoded]) -> list[Encoded]:
    """The same objects in the order of their instance UIDs."""
    return sorted(found, key=lambda one: one.sop_instance_uid)


def context_of(path: PathName) -> tuple[str, str]:
    """The SOP class and the transfer syntax that a file needs a presentation context for."""
    meta = read_file_meta_info(path)
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)


def copy_objects(folder: Path, *names: str) -> list[Path]:
    """Copies of files from pydicom's wheel (nothing is ever downloaded), each an instance of its own."""
    copies = []
    for name in names:
        source = get_testdata_file(name, download=False)
        if source is None:
            raise AssertionError(f"pydicom's wheel has no {name}")
        old, new = _RENAMED.get(name, ("", ""))
        content = Path(str(source)).read_bytes()
        if name == DEFLATED:
            content += b"\0"  # the wheel's stream has an odd length, and PS3.5 A.5 wants it padded
        copy = folder / name
        copy.write_bytes(content.replace(old.encode(), new.encode()) if old else content)
        copies.append(copy)
    return copies


def large_object(folder: Path, megabytes: int = 5) -> Path:
    """A secondary capture image of that size whose pixels are noise, the same noise every time."""
    dataset = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=bytes(128))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = "1.2.826.0.1.3680043.10.543.5.1"
    dataset.StudyInstanceUID = "1.2.826.0.1.3680043.10.543.5.2"
    dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.10.543.5.3"
    dataset.PatientName, dataset.PatientID, dataset.Modality = "Large^Object", "5", "OT"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = 1024, 1024 * megabytes
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.add_new(PIXEL_DATA, "OB", random.Random(5).randbytes(1024 * 1024 * megabytes))
    path = folder / "large.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def same_content(one: Encoded, other: Encoded) -> bool:
    """Do two encodings say the same?

    What re-encoding may change does not count: group lengths, padding, and the OW of compressed pixels, which
    PS3.5 A.4 wants to be OB and some of the wheel's files have not.
    """
    return _essence(one.decoded()) == _essence(other.decoded())


def _essence(dataset: pydicom.Dataset) -> pydicom.Dataset:
    kept = pydicom.Dataset()
    for element in dataset:
        if element.tag == PIXEL_DATA:
            kept.add_new(PIXEL_DATA, "OB", element.value)
        elif element.tag.element != 0 and element.tag != TRAILING_PADDING:
            kept.add(element)
    return kept
