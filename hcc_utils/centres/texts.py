"""Every text in a file that is to leave: its lines, its outputs, its metadata, what is packed."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_TEXTS = {
    *(".html", ".htm", ".xml", ".svg", ".js", ".mjs", ".css", ".txt", ".md", ".rst", ".csv"),
    *(".tsv", ".yml", ".yaml", ".toml", ".cfg", ".log", ".py", ".po", ".buildinfo"),
}
_JSONS = {".json", ".ipynb", ".map"}
_BINARIES = {
    *(".woff", ".woff2", ".ttf", ".otf", ".eot", ".ico", ".gif", ".jpg", ".jpeg", ".webp"),
    ".mo",
}
_UNPACKABLE = {".gz", ".zip", ".xlsx", ".whl"}

_BASE64 = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{16,}={0,2}")
_ARRAY = re.compile(
    r'"dtype"\s*:\s*"([iuf][1248])"\s*,\s*"bdata"\s*:\s*"([A-Za-z0-9+/=]+)"'
    r'|"bdata"\s*:\s*"([A-Za-z0-9+/=]+)"\s*,\s*"dtype"\s*:\s*"([iuf][1248])"'
)
_TAG = re.compile(r"<[^<>]*>")
_PRINTABLE = re.compile(rb"[\x20-\x7e]{8,}")
_DEEPEST = 3  # what is packed in what is packed
_LONG_NUMBER = 1e6  # from here on a number may be an identity


class Piece(NamedTuple):
    """
    A text in a file.

    Parameters
    ----------
    place : str
        Where: "" for the file's own lines.
    text : str
        What stands there.
    names : bool, default False
        Whether it lists columns or keys, one a line.
    problem : str, default ""
        Why it cannot be searched; then there is no text.
    """

    place: str
    text: str
    names: bool = False
    problem: str = ""


def texts(path: Path) -> Iterator[Piece]:
    """
    The texts of a file, whatever it is.

    Text and JSON are given whole (notebooks with all outputs), HTML also without its tags; what is
    packed in base64, zip or gzip is unpacked; of safetensors and PNG the metadata are given, of
    fonts and photographs the readable bytes. Pixels are not read.

    Parameters
    ----------
    path : pathlib.Path
        Any file.

    Yields
    ------
    Piece
        The next text. DICOM files and kinds that are not known have a ``problem`` instead.
    """
    yield from _content(path.name, path.read_bytes(), "", 0)


def _content(name: str, data: bytes, place: str, depth: int) -> Iterator[Piece]:
    """The texts of some bytes, by their beginning and by the file's name."""
    suffix = Path(name).suffix.lower()
    if data[128:132] == b"DICM":
        yield Piece(place, "", problem="DICOM file")
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        yield from _of_png(data, place)
    elif suffix == ".safetensors":
        yield from _of_safetensors(data, place)
    elif suffix == ".inv":
        yield from _of_inventory(data, place)
    elif suffix in _UNPACKABLE or data.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        yield from _unpacked(name, data, place, depth)
    elif suffix in _BINARIES:
        said = b"\n".join(_PRINTABLE.findall(data))
        yield Piece(f"{place}bytes", said.decode("ascii"))
    else:
        yield from _of_text_file(suffix, data, place, depth)


def _of_text_file(suffix: str, data: bytes, place: str, depth: int) -> Iterator[Piece]:
    """The texts of a text file; of a file without ending that turns out to be one, too."""
    known = suffix in _TEXTS | _JSONS
    if not known and (suffix or b"\x00" in data):
        yield Piece(place, "", problem="file of a kind that cannot be searched")
        return
    text = data.decode("utf-8-sig", errors="replace")
    if suffix in (".csv", ".tsv"):
        header = text.partition("\n")[0]
        yield Piece(f"{place}header", re.sub(r'[",;\t]+', "\n", header), names=True)
    content = _json(text) if suffix in _JSONS else None
    if content is None:
        yield from _of_text(text, place, depth)
    else:
        yield from _leaves(content, place, depth)


def _json(text: str) -> Any:
    """What JSON holds; None where it is none."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _leaves(value: Any, place: str, depth: int) -> Iterator[Piece]:
    """The texts of what JSON holds, each with the way to it."""
    if isinstance(value, dict):
        yield Piece(f"{place} keys".strip(), "\n".join(map(str, value)), names=True)
        if isinstance(value.get("bdata"), str):
            yield Piece(place, _long_numbers(str(value.get("dtype")), value["bdata"]))
        for key, below in value.items():
            yield from _leaves(below, f"{place}.{key}".strip("."), depth)
    elif isinstance(value, list):
        plain = [str(one) for one in value if not isinstance(one, dict | list)]
        yield from _of_text("\n".join(plain), place, depth)
        for index, below in enumerate(value):
            if isinstance(below, dict | list):
                yield from _leaves(below, f"{place}[{index}]", depth)
    else:
        yield from _of_text(str(value), place, depth)


def _of_text(text: str, place: str, depth: int) -> Iterator[Piece]:
    """A text, the same without its tags, and what is packed in it."""
    yield Piece(place, text)
    if "</" in text:
        yield Piece(place, _TAG.sub(_only_lines, text))
    for match in _ARRAY.finditer(text):
        kind, packed = (match[1], match[2]) if match[1] else (match[4], match[3])
        yield Piece(place, _long_numbers(kind, packed))
    if depth < _DEEPEST:
        for match in _BASE64.finditer(text):
            yield from _of_base64(match[0], place, depth + 1)


def _only_lines(tag: re.Match[str]) -> str:
    """A tag's line breaks, so that lines keep their number."""
    return "\n" * tag[0].count("\n") or " "


def _of_base64(packed: str, place: str, depth: int) -> Iterator[Piece]:
    """What stands in base64, where it is text or a picture."""
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except binascii.Error:
        return
    place = f"{place} base64 ".lstrip()
    if data[128:132] == b"DICM" or data.startswith((b"\x89PNG", b"PK\x03\x04", b"\x1f\x8b")):
        yield from _content("", data, place, depth)
    elif data.isascii() and data.decode("ascii").isprintable():
        yield from _of_text(data.decode("ascii"), place, depth)
    else:
        text = data.decode("utf-8", errors="ignore")
        if len(text.encode()) == len(data) and text.replace("\n", " ").isprintable():
            yield from _of_text(text, place, depth)


def _long_numbers(kind: str, packed: str) -> str:
    """The whole numbers of an array that are long enough to be identities."""
    try:
        numbers = np.frombuffer(base64.b64decode(packed), dtype=np.dtype(kind).newbyteorder("<"))
    except (TypeError, ValueError):
        return ""
    long = numbers[np.isfinite(numbers) & (np.abs(numbers) >= _LONG_NUMBER)]
    return "\n".join(str(int(number)) for number in long if number == int(number))


def _of_safetensors(data: bytes, place: str) -> Iterator[Piece]:
    """The names and the metadata of a file of weights."""
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    content = _json(data[8 : 8 + length].decode("utf-8", errors="replace"))
    if content is None:
        yield Piece(place, "", problem="file of weights without a header")
    else:
        yield from _leaves(content, f"{place}metadata", 0)


def _of_png(data: bytes, place: str) -> Iterator[Piece]:
    """The texts of a picture's chunks."""
    start = 8
    while start + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[start : start + 8])
        chunk = data[start + 8 : start + 8 + length]
        start += 12 + length
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf"):
            yield Piece(f"{place}PNG text", _of_chunk(kind, chunk))
    if data[start:].strip(b"\x00"):
        yield Piece(f"{place}after the PNG", "", problem="picture with something behind it")


def _of_chunk(kind: bytes, chunk: bytes) -> str:
    """A chunk's text, unpacked."""
    keyword, _, rest = chunk.partition(b"\x00")
    if kind == b"zTXt":
        rest = zlib.decompress(rest[1:])
    elif kind == b"iTXt" and rest[:1] == b"\x01":
        *head, packed = rest[2:].split(b"\x00", 2)
        rest = b" ".join([*head, zlib.decompress(packed)])
    return (keyword + b" " + rest).replace(b"\x00", b" ").decode("utf-8", errors="replace")


def _of_inventory(data: bytes, place: str) -> Iterator[Piece]:
    """A Sphinx inventory: four lines, the rest packed."""
    *head, packed = data.split(b"\n", 4)
    lines = b"\n".join([*head, zlib.decompressobj().decompress(packed)])
    yield Piece(place, lines.decode("utf-8", errors="replace"))


def _unpacked(name: str, data: bytes, place: str, depth: int) -> Iterator[Piece]:
    """The texts of what an archive holds."""
    if depth >= _DEEPEST:
        yield Piece(place, "", problem="archive in an archive in an archive")
    elif data.startswith(b"\x1f\x8b"):
        inner = name.removesuffix(".gz")
        yield from _content(inner, gzip.decompress(data), f"{place}unpacked ", depth + 1)
    elif zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield Piece(f"{place}names of members", "\n".join(archive.namelist()))
            for number, member in enumerate(archive.infolist(), start=1):
                where = f"{place}member {number} "
                yield from _content(member.filename, archive.read(member), where, depth + 1)
    else:
        yield Piece(place, "", problem="archive that cannot be opened")
