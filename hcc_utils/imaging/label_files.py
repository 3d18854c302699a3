"""Files of label maps: whether one ends with the last label that its header promises."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import IO

_CHUNK_BYTES = 2**20
_HEADER_BYTES = 2**16
_NIFTI_BYTES = 348
_PLAIN = ((0.0, 1.0), (0.0,))  # a slope and an intercept that change nothing
_SAMPLE_BYTES = {
    "MET_CHAR": 1,
    "MET_UCHAR": 1,
    "MET_SHORT": 2,
    "MET_USHORT": 2,
    "MET_INT": 4,
    "MET_UINT": 4,
    "MET_LONG": 4,
    "MET_ULONG": 4,
    "MET_LONG_LONG": 8,
    "MET_ULONG_LONG": 8,
    "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}


def require_whole(path: Path) -> None:
    """
    Nothing, where a label map ends with the last label that its header promises.

    SimpleITK fills up what is missing, leaves out what is too much, asks for all the memory that a
    damaged header promises, and crashes where a header places labels nowhere.

    Parameters
    ----------
    path : pathlib.Path
        NIfTI, or NRRD or MetaImage with its labels in the same file, raw or compressed.

    Raises
    ------
    ValueError
        If it holds more or less, or its header cannot be understood.
    """
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        there, promised = _nifti(path)
    else:
        there, promised = _meta_image(path) if name.endswith(".mha") else _nrrd(path)
    if there != promised:
        more = " or more" if there > promised else ""
        raise ValueError(f"it holds {there}{more} bytes where its header promises {promised}")


def _nifti(path: Path) -> tuple[int, int]:
    """The bytes that a NIfTI holds and promises, header and labels together."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        header = file.read(_NIFTI_BYTES)
        order = "<" if header[:4] == _NIFTI_BYTES.to_bytes(4, "little") else ">"
        n_axes, *lengths = struct.unpack_from(f"{order}8h", header, 40)
        (bits,) = struct.unpack_from(f"{order}h", header, 72)
        (start,) = struct.unpack_from(f"{order}f", header, 108)
        scale = struct.unpack_from(f"{order}2f", header, 112)  # slope and intercept; NaN: not set
        if any(
            not math.isnan(one) and one not in plain
            for one, plain in zip(scale, _PLAIN, strict=True)
        ):
            raise ValueError("its header scales the values; a label map keeps them as they are")
        placed = struct.unpack_from(f"{order}8f", header, 76)  # spacing; rotation and matrix
        placed += struct.unpack_from(f"{order}18f", header, 256)
        if not all(map(math.isfinite, placed)):
            raise ValueError("its header places the labels nowhere")
        promised = int(start) + bits // 8 * math.prod(lengths[: max(n_axes, 0)])
        return len(header) + _count(file, promised), promised


def _nrrd(path: Path) -> tuple[int, int]:
    """The bytes of labels that an NRRD holds and promises."""
    import SimpleITK

    with path.open("rb") as file:
        header = _header(file, rb"\r?\n\r?\n")
        said = dict(re.findall(r"(?m)^([a-z ]+): *(.*?)\s*$", header.lower()))
        if "data file" in said or "datafile" in said:
            raise ValueError("its labels are not in the same file")
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        one = SimpleITK.Image([1, 1, 1], reader.GetPixelID(), reader.GetNumberOfComponents())
        promised = math.prod(reader.GetSize()) * one.GetNumberOfComponentsPerPixel()
        promised *= one.GetSizeOfPixelComponent()
        if said.get("encoding") in ("gzip", "gz"):
            with gzip.open(file) as labels:
                return _count(labels, promised), promised
        return _count(file, promised), promised


def _meta_image(path: Path) -> tuple[int, int]:
    """The bytes of labels that a MetaImage holds and promises."""
    with path.open("rb") as file:
        header = _header(file, rb"\nElementDataFile *= *LOCAL\r?\n")
        said = dict(re.findall(r"(?m)^(\w+) *= *(.*?)\s*$", header))
        lengths = [int(n) for n in said["DimSize"].split()]
        if len(lengths) != int(said["NDims"]):
            raise ValueError("its header says different numbers of axes")
        promised = math.prod(lengths) * int(said.get("ElementNumberOfChannels", 1))
        promised *= _SAMPLE_BYTES[said["ElementType"]]
        if said.get("CompressedData", "False").lower() != "true":
            return _count(file, promised), promised
        rest = file.read()
        press = zlib.decompressobj()
        there = len(press.decompress(rest, promised + 1))
        press.decompress(press.unconsumed_tail, 1)  # the check sum, behind the last label
        size = int(said.get("CompressedDataSize", len(rest)))
        if not press.eof or press.unused_data or size != len(rest):
            raise ValueError("its compressed labels end early or late")
        return there, promised


def _header(file: IO[bytes], end: bytes) -> str:
    """A header in text; the file is left at what follows it."""
    start = file.read(_HEADER_BYTES)
    found = re.search(end, start)
    if found is None:
        raise ValueError("its header does not end, or its labels are not in the same file")
    file.seek(found.end())
    return start[: found.start()].decode("utf-8", "replace")


def _count(file: IO[bytes] | gzip.GzipFile, most: int) -> int:
    """How many bytes follow, counted to about one chunk more than wanted."""
    there = 0
    while there <= most and (chunk := file.read(_CHUNK_BYTES)):
        there += len(chunk)
    return there
