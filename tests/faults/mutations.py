"""Damage to files: of bytes, of an element's parts, of what an element says."""

from __future__ import annotations

import gzip
import random
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from faults import elements
from faults.elements import Element

_VRS = (b"DS", b"IS", b"LO", b"UI", b"US", b"SS", b"FL", b"FD", b"OB", b"OW", b"SQ", b"UN", b"UT")
_LENGTHS = (0, 1, 2, 3, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
_NUMBERS = ("0", "-0", "1", "-1", "2", "0.5", "7", "24", "1e9", "1e300", "1e-9", "nan", "inf", "x")
_TEXTS = ("", "1", "YES", "CT", "MR", "SEG", "RTSTRUCT", "BINARY", "FRACTIONAL", "LABELMAP", "RGB")
_TEXTS += ("MONOCHROME1", "PALETTE COLOR", "Lesion 1", "Liver", "LOCALIZER", "POINT", "CIRCLE")
_UIDS = ("", "1.2.3", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_UIDS += tuple(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 100, 201))
_UIDS += ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.99", "1.2.840.10008.5.1.4.1.1.2.1")
_WHOLE = (0, 1, 2, 3, 7, 8, 11, 12, 16, 20, 24, 32, 48, 255, 4096, 32767, 65535)
_FIELDS = (0, 1, -1, 2, 4, 7, 16, 64, 255, 512, 1024, 4096, 20000, 32767)
_GEOMETRY = ("Rows", "Columns", "BitsStored", "BitsAllocated", "HighBit", "PixelRepresentation")
_GEOMETRY += ("SamplesPerPixel", "NumberOfFrames", "ImagePositionPatient", "PixelSpacing")
_GEOMETRY += ("ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "TransferSyntaxUID")
_GEOMETRY += ("SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PixelData")
_GEOMETRY += ("PhotometricInterpretation", "RescaleType", "SOPClassUID", "PatientID")


@dataclass(frozen=True)
class Mutation:
    """A damaged file: how, and where only an element's value was changed, of which."""

    kind: str
    data: bytes
    edited: str = ""


def mutated(name: str, data: bytes, chance: random.Random) -> Mutation:
    """The file with one piece of damage; the same chance gives the same damage."""
    if name.startswith(_OTHER):
        return _of_label_map(name, data, chance)
    plain = elements.plain(data)
    known = elements.elements(plain)
    kinds: list[Callable[..., Mutation]] = [_byte_level, _element_level, _value, _value]
    return chance.choice(kinds)(data, plain, known, chance)


_OTHER = ("nifti", "nrrd", "mha", "boxes")


def _byte_level(data: bytes, plain: bytes, known: list[Element], chance: random.Random) -> Mutation:
    """Damage that knows nothing of elements; rarely within the pixels, which are most bytes."""
    pixels = next((e for e in known if e.keyword == "PixelData"), None)
    if data is not plain and data != plain and chance.random() < 0.5:
        return _bytes(data, chance, lambda: chance.randrange(len(data)))

    def place() -> int:
        if pixels is None or chance.random() < 0.25:
            return chance.randrange(len(plain))
        return chance.randrange(132, pixels.value_at)

    one = _bytes(plain, chance, place)
    return Mutation(one.kind, one.data if data == plain else elements.packed(one.data))


def _bytes(data: bytes, chance: random.Random, place: Callable[[], int]) -> Mutation:
    kind = chance.choice(_BYTES)
    at, length = place(), chance.choice((1, 1, 2, 4, 8, 16, 64, 256))
    changed = bytearray(data)
    if kind == "flip":
        for _ in range(chance.choice((1, 1, 2, 3))):
            changed[place()] ^= 1 << chance.randrange(8)
    elif kind == "overwrite":
        new = chance.choice((chance.randbytes(length), bytes(length), b"\xff" * length))
        changed[at : at + length] = new[: len(data) - at]
    elif kind == "truncate":
        at = chance.choice((at, len(data) - length))
        del changed[max(at, 0) :]
    elif kind == "insert":
        changed[at:at] = chance.choice((chance.randbytes(length), bytes(length)))
    elif kind == "delete":
        del changed[at : at + length]
    elif kind == "duplicate":
        changed[at:at] = changed[at : at + length]
    else:
        to = place()
        changed[at : at + length], changed[to : to + length] = (
            data[to : to + length],
            data[at : at + length],
        )
    return Mutation(kind, bytes(changed))


_BYTES = ("flip", "flip", "overwrite", "truncate", "insert", "delete", "duplicate", "swap")


def _element_level(
    data: bytes, plain: bytes, known: list[Element], chance: random.Random
) -> Mutation:
    """Damage to an element's length or VR, or to which elements there are and in which order."""
    one, other = chance.choice(known), chance.choice(known)
    kind = chance.choice(("length", "length", "vr", "remove", "repeat", "exchange"))
    side = "little" if one.tag >> 16 == 2 else elements.order(plain)
    changed = plain
    if kind == "length":
        length = chance.choice((*_LENGTHS, one.end - one.value_at + chance.choice((-2, -1, 1, 2))))
        length = max(0, min(length, 256**one.length_size - 1))
        new = length.to_bytes(one.length_size, side)
        changed = plain[: one.length_at] + new + plain[one.value_at :]
    elif kind == "vr" and one.vr:
        changed = plain[: one.start + 4] + chance.choice(_VRS) + plain[one.start + 6 :]
    elif kind == "remove":
        changed = elements.replaced(plain, one, one.start, one.end, b"")
    elif kind == "repeat":
        twice = plain[one.start : one.end] * 2
        changed = elements.replaced(plain, one, one.start, one.end, twice)
    elif kind == "exchange" and one.above == other.above:
        first, last = sorted((one, other), key=lambda e: e.start)
        changed = (
            (
                plain[: first.start]
                + plain[last.start : last.end]
                + plain[first.end : last.start]
                + plain[first.start : first.end]
                + plain[last.end :]
            )
            if first is not last
            else plain
        )
    edited = one.keyword if kind in ("remove", "repeat", "exchange") else ""
    return Mutation(kind, elements.packed(changed), f"{_PAST[kind]} {edited}" if edited else "")


_PAST = {"remove": "removed", "repeat": "repeated", "exchange": "exchanged"}


def _value(data: bytes, plain: bytes, known: list[Element], chance: random.Random) -> Mutation:
    """Another value in an element, every length around it kept right."""
    leaves = [e for e in known if e.vr and e.vr != b"SQ" and e.keyword != "PixelData"]
    grave = [e for e in leaves if e.keyword in _GEOMETRY]
    one = chance.choice(grave if chance.random() < 0.6 else leaves)
    old = plain[one.value_at : one.end]
    new = _said(one, old, elements.order(plain), chance)
    changed = elements.replaced(plain, one, one.value_at, one.end, new)
    return Mutation("value", elements.packed(changed), one.keyword)


def _said(one: Element, old: bytes, side: str, chance: random.Random) -> bytes:
    """Bytes of another value."""
    if one.vr in (b"US", b"SS"):
        return (chance.choice(_WHOLE)).to_bytes(2, side)
    if one.vr in (b"DS", b"IS"):
        parts = old.decode("latin-1").strip().split("\\")
        numbers = (*_NUMBERS, str(round(chance.uniform(-50, 50), 2)))
        parts[chance.randrange(len(parts))] = chance.choice(numbers)
        return _even("\\".join(parts).encode("latin-1"), b" ")
    if one.vr == b"UI":
        text = old.rstrip(b"\0").decode("latin-1")
        near = text[:-1] + str((int(text[-1:] or 0) + 1) % 10) if text[-1:].isdigit() else "1"
        return _even(chance.choice((*_UIDS, near, near)).encode(), b"\0")
    if one.vr in (b"FL", b"FD", b"UL", b"OB", b"OW", b"UN", b"AT"):
        return chance.randbytes(len(old))
    return _even(chance.choice(_TEXTS).encode(), b" ")


def _even(value: bytes, filling: bytes) -> bytes:
    return value + filling * (len(value) % 2)


def header_length(data: bytes) -> int:
    """Where the labels of a label map begin; of a table of boxes, its end."""
    for mark in (b"\n\n", b"ElementDataFile = LOCAL\n"):
        if mark in data[:2000]:
            return data.index(mark) + len(mark)
    return 352 if data[344:347] == b"n+1" else len(data)


def unzipped(data: bytes) -> bytes:
    """A NIfTI without its compression, as far as it goes."""
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def _of_label_map(name: str, data: bytes, chance: random.Random) -> Mutation:
    """Damage to a label map or a table of boxes: to bytes, or to a number of its header."""
    if name == "nifti_gz" and chance.random() < 0.4:
        return _bytes(data, chance, lambda: chance.randrange(len(data)))
    inside = unzipped(data)
    header = header_length(inside)

    def place() -> int:
        return chance.randrange(len(inside) if chance.random() < 0.25 else header)

    if chance.random() < 0.5:
        one = _bytes(inside, chance, place)
    elif name.startswith("nifti"):
        form, size = chance.choice((("<h", 2), ("<f", 4)))
        at = chance.randrange(0, header - size, size)
        value = chance.choice(_FIELDS)
        one = Mutation("field", inside[:at] + struct.pack(form, value) + inside[at + size :])
    else:
        numbers = list(re.finditer(rb"\d+(\.\d+)?", inside[:header]))
        found = chance.choice(numbers)
        new = str(chance.choice(_FIELDS)).encode()
        one = Mutation("field", inside[: found.start()] + new + inside[found.end() :])
    if name != "nifti_gz":
        return one
    return Mutation(one.kind, gzip.compress(one.data, 1, mtime=0))
