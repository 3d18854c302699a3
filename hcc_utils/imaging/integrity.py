"""Whether a DICOM file is whole: its elements fit into each other and end with it."""

from __future__ import annotations

import mmap
import struct
import zlib
from functools import cache
from typing import NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

Buffer = bytes | mmap.mmap

_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_OPEN = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = 0x7FE00010
_TEXT = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
_OTHER = frozenset(b"AT FD FL OB OD OF OL OV OW SL SQ SS SV UL US UV".split())
_NEVER = (0, 2, 0xFFFE)  # groups of commands, of the file itself, of items
_TRANSFER_SYNTAX = 0x00020010


class _Form(NamedTuple):
    """How elements are written: `head` is tag, VR and a short length, `plain` has no VR."""

    head: struct.Struct
    plain: struct.Struct
    long: struct.Struct
    explicit: bool


class _Head(NamedTuple):
    """An element's tag, VR and length, and where its value begins."""

    tag: int
    vr: bytes
    length: int
    value_at: int


def _form(order: str, *, explicit: bool) -> _Form:
    head, plain, long = (struct.Struct(order + how) for how in ("HH2sH", "HHL", "L"))
    return _Form(head, plain, long, explicit)


_META = _form("<", explicit=True)
_IMPLICIT = _form("<", explicit=False)


def require_dicom(data: Buffer) -> None:
    """
    Nothing, where all elements of a DICOM file fit into each other and the last ends with it.

    pydicom reads on where lengths disagree: an element then swallows the next ones, and what lies
    behind bytes that slipped in or got lost is taken for something else.

    Parameters
    ----------
    data : bytes or mmap.mmap
        The whole file.

    Raises
    ------
    ValueError
        If an element is longer than what holds it, is there twice, is no text where text
        belongs (or the other way round), or bytes are left over.
    """
    at = 132 if data[128:132] == b"DICM" else 0
    syntax = b""
    while data[at : at + 2] == b"\x02\0":
        head = _head(data, at, len(data), _META)
        at = head.value_at + head.length
        if head.tag == _TRANSFER_SYNTAX:
            syntax = data[head.value_at : at].rstrip(b"\0 ")
    uid = UID(syntax.decode("latin-1"))
    if uid == DeflatedExplicitVRLittleEndian:
        press = zlib.decompressobj(-zlib.MAX_WBITS)
        data, at = press.decompress(data[at:]), 0
        if not press.eof:
            raise ValueError("its deflated part ends early")
    known = uid.is_transfer_syntax
    explicit = not uid.is_implicit_VR if known else data[at + 4 : at + 6].isalpha()
    little = uid.is_little_endian if known else data[at : at + 2] != b"\0\x08"
    form = _form("<" if little else ">", explicit=explicit)
    _dataset(data, at, len(data), form, is_open=False)


def _head(data: Buffer, at: int, end: int, form: _Form) -> _Head:
    """What stands before an element's value."""
    if at + 8 > end:
        raise ValueError(f"{end - at} bytes are left over at byte {at}")
    group, element, vr, length = form.head.unpack_from(data, at)
    tag = (group << 16) + element
    if form.explicit and vr.isalpha() and group != 0xFFFE:
        _require_kind(tag, vr, at)
        if vr not in _LONG:
            return _Head(tag, vr, length, at + 8)
        if at + 12 > end:
            raise ValueError(f"{end - at} bytes are left over at byte {at}")
        return _Head(tag, vr, form.long.unpack_from(data, at + 8)[0], at + 12)
    length = form.plain.unpack_from(data, at)[2]
    return _Head(tag, _usual(tag) if group != 0xFFFE else b"", length, at + 8)


def _require_kind(tag: int, vr: bytes, at: int) -> None:
    """Refuse text where numbers, bytes or items belong, and these where text does."""
    wrong = _TEXT if vr in _OTHER else _OTHER if vr in _TEXT else frozenset()
    if _usual(tag) in wrong:
        raise ValueError(f"the element {tag:08X} at byte {at} cannot be {vr.decode()}")


@cache
def _usual(tag: int) -> bytes:
    """The VR that the standard gives an element; nothing where it gives none."""
    return dictionary_VR(tag).encode() if dictionary_has_tag(tag) else b""


def _dataset(data: Buffer, at: int, end: int, form: _Form, *, is_open: bool) -> int:
    """Where a data set ends; an open one behind its mark."""
    seen: set[int] = set()
    while at < end:
        head = _head(data, at, end, form)
        if is_open and head.tag == _ITEM_END:
            return head.value_at
        if head.tag in seen or head.tag >> 16 in _NEVER:
            raise ValueError(f"an element ({head.tag:08X}) is at byte {at} where none can be")
        if _PIXELS in seen and head.tag < _PIXELS:
            raise ValueError(f"something follows the pixels at byte {at}")
        seen.add(head.tag)
        at = _after(data, head, end, form)
    if is_open:
        raise ValueError("an item is not closed")
    return at


def _after(data: Buffer, head: _Head, end: int, form: _Form) -> int:
    """Where the next element begins, if what this one holds fits into it."""
    stop = head.value_at + head.length
    if head.length == _OPEN:
        inner = _IMPLICIT if head.vr == b"UN" else form
        return _items(data, head, end, inner, is_open=True)
    if head.tag == _PIXELS and end == len(data):
        return min(stop, end)  # cut pixels are told where they are read: others may be whole
    if stop > end:
        raise ValueError(f"the element {head.tag:08X} is longer than what holds it")
    if head.vr == b"SQ":
        _items(data, head, stop, form, is_open=False)
    return stop


def _items(data: Buffer, sequence: _Head, end: int, form: _Form, *, is_open: bool) -> int:
    """Where a sequence, or compressed pixels in fragments, end."""
    at = sequence.value_at
    while at < end:
        item = _head(data, at, end, form)
        if is_open and item.tag == _SEQUENCE_END:
            return item.value_at
        stop = item.value_at + item.length
        if item.tag != _ITEM or (item.length != _OPEN and stop > end):
            raise ValueError(f"the sequence {sequence.tag:08X} holds something else than items")
        if sequence.tag == _PIXELS:
            at = stop
        elif item.length == _OPEN:
            at = _dataset(data, item.value_at, end, form, is_open=True)
        else:
            at = _dataset(data, item.value_at, stop, form, is_open=False)
    if is_open:
        raise ValueError(f"the sequence {sequence.tag:08X} is not closed")
    return at
