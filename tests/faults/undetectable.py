"""Which damage nothing can tell, by construction: only values changed that nothing else repeats.

Nothing can tell, and no reader could:

- other bits of pixels or labels as they are stored: the value of PixelData, of compressed pixels
  the code behind the code's own header, of a label map all that follows its header;
- other coordinates or another name of an outline (`_OUTLINES`), where the new ones are possible;
- in an enhanced CT, a value that its only file says once for all slices, or for one frame without
  saying it of the others (`_ENHANCED`), where the new one is possible;
- a contour or a measurement that was taken out whole, while others of its lesion are there; the
  descriptions of two frames that changed places whole, in an enhanced CT or a SEG;
- what a table of boxes says: there its rows, read by Python's own csv module, are the truth.

Whether the damage was of this kind alone is found by mending it: with the old bytes in these
places, and the damage everywhere else, the file must be told or give the true slices.
"""

from __future__ import annotations

import csv
import gzip
import io
import math

from faults import elements, mutations
from faults.elements import Element
from faults.mutations import Mutation
from faults.valid_files import Valid

from hcc_utils.imaging.preprocessing import CohortSlices
from hcc_utils.imaging.roi import EDGES

_OUTLINES = {
    "seg": ("SegmentLabel", "MaximumFractionalValue"),
    "rtstruct": ("ROIName", "ContourData"),
    "sr": ("TextValue", "GraphicData"),
}
_ITEMS = (
    ("rtstruct", "removed Item"),
    ("sr", "removed Item"),
    ("seg", "exchanged Item"),
    ("enh", "exchanged Item"),
)
_ENHANCED = ("RescaleSlope", "RescaleIntercept", "PixelSpacing", "SeriesInstanceUID")
_ENHANCED += ("BitsStored", "HighBit", "PixelRepresentation")


def mended(valid: Valid, whole: bytes, damaged: bytes) -> bytes | None:
    """The damaged file with its old bytes where nothing could tell others; None if there are none.

    Only where nothing moved: bytes that slipped in or got lost must be told.
    """
    if valid.name == "boxes":
        return None
    if valid.name.startswith(("nifti", "nrrd", "mha")):
        return _label_map_mended(whole, damaged)
    try:
        old, new = elements.plain(whole), bytearray(elements.plain(damaged))
    except Exception:  # the deflated part itself is damaged
        return None
    if len(old) != len(new):
        return None
    before = bytes(new)
    for start, end in _places(valid, old):
        new[start:end] = old[start:end]
    return None if bytes(new) == before else elements.packed(bytes(new))


def _label_map_mended(whole: bytes, damaged: bytes) -> bytes | None:
    try:
        old, new = mutations.unzipped(whole), mutations.unzipped(damaged)
    except Exception:  # the compressed part itself is damaged
        return None
    start = mutations.header_length(old)
    if len(old) != len(new) or old[start:] == new[start:]:
        return None
    there = new[:start] + old[start:]
    return gzip.compress(there, 1, mtime=0) if whole[:2] == b"\x1f\x8b" else there


def _places(valid: Valid, plain: bytes) -> list[tuple[int, int]]:
    """From where to where nothing can tell another byte."""
    hidden = _hidden(valid)
    found = []
    for one in elements.elements(plain):
        if one.keyword == "PixelData" and not one.is_open:
            found.append((one.value_at, one.end))
        elif one.keyword == "Item" and one.above[-1].keyword == "PixelData":
            found.append((one.value_at + _code_at(plain[one.value_at : one.end]), one.end))
        elif one.keyword in hidden:
            found.append((one.value_at, one.end))
    return found


def _hidden(valid: Valid) -> tuple[str, ...]:
    if valid.name.startswith("enhanced"):
        return _ENHANCED
    return _OUTLINES.get(valid.source, ())


def _code_at(frame: bytes) -> int:
    """Where the coded pixels begin: behind the last header of JPEG (SOS, SOD) or RLE's table."""
    if frame[:4] == b"\xff\x4f\xff\x51":
        return frame.index(b"\xff\x93") + 2
    if frame[:2] == b"\xff\xd8":
        scan = frame.index(b"\xff\xda") + 2
        return scan + int.from_bytes(frame[scan : scan + 2], "big")
    return 64


def edited(valid: Valid, damaged: bytes, mutation: Mutation) -> str:
    """The one thing that was changed, where nothing can tell it and the new one is possible."""
    keyword = mutation.edited
    if (valid.source, keyword) in _ITEMS or (valid.name[:3], keyword) in _ITEMS:
        return keyword
    if mutation.kind != "value" or keyword not in _hidden(valid):
        return ""
    values = [damaged[e.value_at : e.end] for e in _intact(damaged) if e.keyword == keyword]
    return keyword if values and all(_possible(keyword, value) for value in values) else ""


def _intact(damaged: bytes) -> list[Element]:
    return elements.elements(elements.plain(damaged))


def _possible(keyword: str, value: bytes) -> bool:
    """Whether a value may stand there."""
    if keyword == "RescaleSlope":
        return _finite(value) and float(value) != 0
    if keyword in ("RescaleIntercept", "PixelSpacing", "ContourData"):
        return _finite(value)
    return True


def _finite(value: bytes) -> bool:
    try:
        return all(math.isfinite(float(part)) for part in value.decode().split("\\"))
    except ValueError:
        return False


def as_written(valid: Valid, damaged: bytes, found: CohortSlices) -> bool:
    """Whether the slices are just those that a damaged table of boxes names for P1's lesion."""
    if valid.name != "boxes":
        return False
    rows = csv.DictReader(io.StringIO(damaged.decode("utf-8-sig"), newline=""))
    try:
        written = sorted(
            (row["sop_instance_uid"], int(row["lesion"]), *(float(row[edge]) for edge in EDGES))
            for row in rows
            if row["patient_id"] == "P1" and int(row["lesion"]) in set(found.table["lesion"])
        )
    except (ValueError, KeyError, TypeError, csv.Error):  # no such table: it must be told
        return False
    names = ["sop_instance_uid", "lesion", *EDGES]
    return written == sorted(map(tuple, found.table[names].to_numpy().tolist()))
