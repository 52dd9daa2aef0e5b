"""The objects that are sent: what is in them. Always the same bytes, whoever makes them.

| kind | what |
|---|---|
| ct | CT images of 512 times 512 pixels of 16 bit, with the attributes and sequences of a real one, 0.53 MB each |
| tiny | some 8 KB each: half structured reports of nested sequences, half MR images of 64 times 64 pixels |
| large | one multi-frame image; the count is its frames of half a MB; written piece by piece |
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset

VERSION = 1
"""To be raised when what is made changes."""
ROOT = "1.2.826.0.1.3680043.10.1999"
SOP_CLASSES = {
    "ct": "1.2.840.10008.5.1.4.1.1.2",
    "mr": "1.2.840.10008.5.1.4.1.1.4",
    "sr": "1.2.840.10008.5.1.4.1.1.88.22",
    "large": "1.2.840.10008.5.1.4.1.1.7.3",
}
EXPLICIT = "1.2.840.10008.1.2.1"
FRAME = 512 * 512 * 2
LINES = 28
"""Of a structured report."""
GENERAL = {
    "SpecificCharacterSet": "ISO_IR 100",
    "StudyDate": "20260102",
    "SeriesDate": "20260102",
    "ContentDate": "20260102",
    "StudyTime": "101112.000000",
    "SeriesTime": "101213.000000",
    "ContentTime": "101314.000000",
    "AccessionNumber": "A0000001",
    "Manufacturer": "Benchmark Works",
    "InstitutionName": "St. Elsewhere",
    "ReferringPhysicianName": "Referring^Doctor",
    "StudyDescription": "Benchmark",
    "SeriesDescription": "Series of the benchmark",
    "PatientName": "Benchmark^Patient",
    "PatientID": "BENCH001",
    "PatientBirthDate": "19700101",
    "PatientSex": "O",
    "StudyID": "1",
    "SeriesNumber": 1,
}
CT_IMAGE = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "Modality": "CT",
    "ManufacturerModelName": "Tube and Ring",
    "SoftwareVersions": ["1.0", "bench"],
    "BodyPartExamined": "CHEST",
    "PatientPosition": "HFS",
    "KVP": "120",
    "ExposureTime": "500",
    "XRayTubeCurrent": "250",
    "ConvolutionKernel": "STANDARD",
    "SliceThickness": "1.25",
    "PixelSpacing": ["0.703125", "0.703125"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "WindowCenter": "40",
    "WindowWidth": "400",
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "RescaleType": "HU",
}
PIXELS = {
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
}


# --- one object --------------------------------------------------------------------------------------------------


def _dataset(attributes: dict[str, Any]) -> Dataset:
    from pydicom import Dataset

    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _dataset({"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning})


def _object(name: str, series: int, number: int, more: dict[str, Any]) -> Dataset:
    study = f"{ROOT}.{series // 10}"
    own = {
        "SOPClassUID": SOP_CLASSES[name],
        "SOPInstanceUID": f"{study}.{series}.{number + 1}",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.{series}",
        "InstanceNumber": number + 1,
    }
    return _dataset(GENERAL | own | more)


def _image(rows: int, columns: int, **more: Any) -> dict[str, Any]:
    return PIXELS | {"Rows": rows, "Columns": columns} | more


def _ct(number: int) -> Dataset:
    noise = random.Random(number)
    sources = [
        _dataset(
            {
                "ReferencedSOPClassUID": SOP_CLASSES["ct"],
                "ReferencedSOPInstanceUID": f"{ROOT}.9.{number + 1}.{source + 1}",
                "PurposeOfReferenceCodeSequence": [_code("121322", "DCM", "Source image for image processing")],
            }
        )
        for source in range(4)
    ]
    request = _dataset(
        {
            "ScheduledProcedureStepDescription": "CT of the chest",
            "ScheduledProtocolCodeSequence": [_code("P1", "99BENCH", "Protocol one")],
            "RequestedProcedureID": "RP1",
            "ScheduledProcedureStepID": "SPS1",
        }
    )
    more = {
        "ImagePositionPatient": ["-180.0", "-180.0", f"{number * 1.25:.2f}"],
        "FrameOfReferenceUID": f"{ROOT}.8",
        "ProcedureCodeSequence": [_code("CTCHEST", "99BENCH", "CT of the chest")],
        "RequestAttributesSequence": [request],
        "SourceImageSequence": sources,
        "PixelData": noise.randbytes(FRAME),
    }
    made = _object("ct", 11, number, CT_IMAGE | _image(512, 512) | more)
    private = made.private_block(0x0009, "BENCHMARK WORKS", create=True)
    private.add_new(0x01, "LO", "private text")
    private.add_new(0x02, "OB", noise.randbytes(2048))
    return made


def _mr(number: int) -> Dataset:
    pixels = random.Random(number).randbytes(64 * 64 * 2)
    return _object("mr", 21, number, {"Modality": "MR"} | _image(64, 64, PixelData=pixels))


def _report(number: int) -> Dataset:
    lines = []
    for line in range(LINES):
        value = _dataset(
            {
                "NumericValue": f"{line + number / 7:.4f}",
                "MeasurementUnitsCodeSequence": [_code("mm", "UCUM", "millimeter")],
            }
        )
        content = {
            "RelationshipType": "CONTAINS",
            "ValueType": "NUM",
            "ConceptNameCodeSequence": [_code("112039", "DCM", "Tracking Identifier")],
            "MeasuredValueSequence": [value],
        }
        lines.append(_dataset(content))
    more = {
        "Modality": "SR",
        "ValueType": "CONTAINER",
        "ContinuityOfContent": "SEPARATE",
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "ConceptNameCodeSequence": [_code("126000", "DCM", "Imaging Measurement Report")],
        "ContentSequence": lines,
    }
    return _object("sr", 22, number, more)


def _tiny(number: int) -> Dataset:
    return _mr(number) if number % 2 else _report(number)


# --- files -------------------------------------------------------------------------------------------------------


def _write(made: Dataset, file: IO[bytes]) -> None:
    from pydicom import dcmwrite
    from pydicom.dataset import FileMetaDataset

    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = EXPLICIT  # type: ignore[assignment]
    dcmwrite(file, made, enforce_file_format=True)


def _write_large(frames: int, file: IO[bytes]) -> None:
    """The image data is not held in memory."""
    _write(_object("large", 31, frames, {"Modality": "OT"} | _image(512, 512, NumberOfFrames=frames)), file)
    file.write(struct.pack("<HH2sxxI", 0x7FE0, 0x0010, b"OW", frames * FRAME))
    frame = random.Random(frames).randbytes(FRAME)
    for _ in range(frames):
        file.write(frame)


WRITERS: dict[str, Callable[[int, IO[bytes]], None]] = {
    "ct": lambda number, file: _write(_ct(number), file),
    "tiny": lambda number, file: _write(_tiny(number), file),
    "large": _write_large,
}
"""How the file of a number is written; the number of a large object is that of its frames."""
MR_SERIES = {"study": f"{ROOT}.2", "series": f"{ROOT}.2.21"}
"""To find the MR images among the tiny ones."""
