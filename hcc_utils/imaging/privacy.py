"""What identifies patients in a folder of DICOM files, and the gate before they are read."""

from __future__ import annotations

import contextlib
import csv
import re
import unicodedata
import warnings
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydicom
from pydicom.config import disable_value_validation
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag, Tag

from hcc_utils import checks
from hcc_utils.imaging import burned_in_text, parallel
from hcc_utils.study import folders

STANDARD = "DICOM PS3.15 2026c, table E.1-1, Basic Profile"
COLUMNS: tuple[str, ...] = ("attribute", "action", "files", "first_files", "rule", "status")
DEIDENTIFY = (
    "To take most of it away: dicom-anonymizer IN OUT (pip install dicom-anonymizer==2.1.0), where "
    "IN holds files and no folders and OUT is there. It renews the files' UIDs and not the "
    "references in a SEG or RTSTRUCT, which then fit no CT, not even one given in the same call "
    "(NIfTI masks still fit); it empties PatientID, so name each new folder like the table's "
    "patient_id. It leaves preambles, application titles, names deep in sequences and pixels: run "
    "hcc privacy on OUT, and expect its dummies in the list. Reading inside the hospital needs "
    "none of this."
)


class Rule(NamedTuple):
    """What a rule does to a folder, and what it found, in words."""

    status: str
    meaning: str


RULES: dict[str, Rule] = {
    "burned_in_annotation": Rule("refuse", "text is burned into the pixels (it says so itself)"),
    "secondary_capture": Rule("refuse", "screenshots may show names in their pixels"),
    "burned_in_text": Rule("refuse", "a line of text seems to be burned into the pixels"),
    "identifying_attribute": Rule("report", "the Basic Profile removes or replaces it"),
    "date_or_time": Rule("report", "the Basic Profile removes or replaces dates and times"),
    "unique_identifier": Rule(
        "report", "it leads back to the archive (the Basic Profile renews it)"
    ),
    "private_attribute": Rule("report", "only its vendor knows what it holds"),
    "overlay": Rule("report", "its graphics may show a name"),
    "curve": Rule("report", "its data may hold a name"),
    "preamble": Rule("report", "the 128 bytes before DICM are not empty"),
    "application_title": Rule("report", "it names a computer of the hospital"),
    "name_in_path": Rule("report", "a folder or file is named like what the header says"),
    "not_looked_at": Rule("report", "nothing is known of its content"),
}

_DEFER_BYTES = 1024  # longer values, the pixels among them, are skipped
_SEQUENCE_ENDS = 8  # nothing below so many nested sequences; a damaged file may have no end
_TITLES = (0x00020016, 0x00020017, 0x00020018, 0x00020026, 0x00020027, 0x00020028, 0x00020102)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_NO_PICTURES = ("1.2.840.10008.5.1.4.1.1.66.",)  # segmentations: masks, not grey values
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_AXIAL_COSINE = 0.7  # of the angle between a slice's normal and the body's axis
_FILES_A_TASK = 200
_NAMED_BY = ("PatientName", "PatientID", "AccessionNumber", "PatientBirthDate")
_SHORT = 4  # shorter identities stand in a path by chance
_NAMED_FILES = 10  # of those that a rule refuses; of the others one


class Finding(NamedTuple):
    """One thing that identifies: a keyword or kind, the standard's action, the rule."""

    attribute: str
    action: str
    rule: str


Key = TypeVar("Key", bound=Hashable)
_Found = dict[Finding, tuple[int, tuple[str, ...]]]  # how many files, and the first of them

_UNREADABLE = Finding("file that cannot be read", "", "not_looked_at")


def report(
    root: Path | str,
    *,
    allow: Iterable[str] = (),
    workers: int = 2,
    progress: parallel.Progress | None = None,
) -> pd.DataFrame:
    """
    What identifies patients below a folder; it names attributes and files, never a value.

    Headers are read whole, sequences and what follows the pixels too. Pixels are looked at where
    text is found: in secondary captures, colour pictures, and what does not lie axially. What
    PatientIdentityRemoved says is not asked: tools set it and leave names behind.

    Parameters
    ----------
    root : pathlib.Path or str
        Any folder of DICOM files.
    allow : iterable of str, optional
        Keys of `RULES` that somebody answers for: their rows have the status "allowed".
    workers : int, default 2
        Processes that read.
    progress : callable, optional
        Called with (done, total) files, batch by batch.

    Returns
    -------
    pandas.DataFrame
        One row for each attribute (a keyword, dotted below sequences, or a kind such as
        "preamble") and rule: ``action`` (of table E.1-1: D dummy, Z empty, X remove, U new UID),
        ``files``, ``first_files`` (where the rule refuses, up to ten of them, else one; folders
        named like a patient stand as "[3 of 54]", their place among their neighbours), ``rule``
        and ``status`` (refuse, report, allowed). What is there but empty is not listed.
        ``attrs["files"]`` counts the files looked at.

    Raises
    ------
    InputError
        If there is no such folder, or no such rule.

    References
    ----------
    .. [1] DICOM PS3.15, annex E: edition 2024b, with the 35 attributes added up to 2026c.
    """
    root = Path(root)
    if not root.is_dir():
        raise checks.InputError(f"{root} is not a folder; give the one that holds the images.")
    allowed = rules(allow)
    found = reports({root: [Root(root)]}, workers=workers, progress=progress)[root]
    return allowing(found, allowed)


class Root(NamedTuple):
    """
    A folder of DICOM files.

    Parameters
    ----------
    folder : pathlib.Path
        Where it is.
    said : str, default ""
        What stands before the files' paths, in place of the folder's own.
    patients : frozenset of str, default empty
        Names of patients, where they are known: a part of a path that is one, its ending aside,
        is told by its place, whatever the headers say.
    """

    folder: Path
    said: str = ""
    patients: frozenset[str] = frozenset()


def reports(
    roots: Mapping[Key, Iterable[Root]],
    *,
    workers: int = 2,
    progress: parallel.Progress | None = None,
) -> dict[Key, pd.DataFrame]:
    """
    What identifies patients below several groups of folders, as `report` has it.

    Parameters
    ----------
    roots : mapping of iterable of Root
        The folders of each group.
    workers : int, default 2
        Processes that read.
    progress : callable, optional
        Called with (done, total) files, batch by batch.

    Returns
    -------
    dict of pandas.DataFrame
        By group.
    """
    tasks = [
        (key, root, files)
        for key, group in roots.items()
        for root in group
        for files in _batches(root.folder)
    ]
    total = sum(len(files) for _, _, files in tasks)
    found: dict[Key, _Found] = {key: {} for key in roots}
    n_files = dict.fromkeys(roots, 0)
    # other processes take longer to start than a few files to be read
    workers = workers if len(tasks) > workers else 1
    results = parallel.in_order(_task, [task[1:] for task in tasks], workers=workers)
    for (key, _, files), some in zip(tasks, results, strict=True):
        n_files[key] += len(files)
        for finding, (count, first) in some.items():
            before, named = found[key].get(finding, (0, ()))
            found[key][finding] = before + count, (*named, *first)[: _n_named(finding)]
        if progress is not None:
            progress(sum(n_files.values()), total)
    return {key: _table(found[key], n_files[key]) for key in roots}


def rules(allow: Iterable[str]) -> frozenset[str]:
    """
    Rules that somebody answers for.

    Parameters
    ----------
    allow : iterable of str
        Keys of `RULES`.

    Returns
    -------
    frozenset of str
        The same.

    Raises
    ------
    InputError
        If there is no such rule; the nearest is suggested.
    """
    return frozenset(checks.one_of("allow", rule, RULES) for rule in allow)


def allowing(found: pd.DataFrame, allowed: frozenset[str]) -> pd.DataFrame:
    """
    What was found, with what somebody answers for.

    Parameters
    ----------
    found : pandas.DataFrame
        What `report` returns.
    allowed : frozenset of str
        As `rules` gives them.

    Returns
    -------
    pandas.DataFrame
        The same rows; those of these rules have the status "allowed".
    """
    said = ["allowed" if rule in allowed else RULES[rule].status for rule in found["rule"]]
    return found.assign(status=said)


def _table(found: _Found, n_files: int) -> pd.DataFrame:
    """The findings of one root, the gravest first."""
    rows = [
        (*finding[:2], count, ", ".join(first), finding.rule, RULES[finding.rule].status)
        for finding in sorted(found, key=_order)
        for count, first in [found[finding]]
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.attrs["files"] = n_files
    return table


def refuse(found: pd.DataFrame) -> None:
    """
    Nothing, where no rule refuses the folder.

    Parameters
    ----------
    found : pandas.DataFrame
        What `report` returns.

    Raises
    ------
    Problems
        If there are screenshots or pixels that carry text; each with its files and its remedy.
    """
    refused = found[found["status"] == "refuse"]
    if len(refused):
        raise checks.Problems(_problem(row) for row in refused.itertuples(index=False))


def _problem(row: Any) -> checks.Problem:
    """One refusal, which quotes no value."""
    return checks.Problem(
        f"{row.first_files}{', ...' * (row.files > _NAMED_FILES)}",
        f"{row.attribute}: {RULES[row.rule].meaning}; {row.files} such file(s)",
        remedy="Take them out of the folder, or clean their pixels; if somebody has looked at all "
        f"of them and found no name, say --allow {row.rule}.",
    )


def provenance(found: pd.DataFrame) -> dict[str, Any]:
    """
    What was found and what was allowed, for a ``run.json``: attributes and counts alone.

    Parameters
    ----------
    found : pandas.DataFrame
        What `report` returns.

    Returns
    -------
    dict
        ``standard``, ``files``, ``identifying`` (files by attribute) and ``allowed`` (files by
        rule that would have been refused or reported).
    """
    allowed = found[found["status"] == "allowed"]
    return {
        "standard": STANDARD,
        "files": int(found.attrs["files"]),
        "identifying": {str(row.attribute): int(row.files) for row in found.itertuples()},
        "allowed": {str(rule): int(rows["files"].max()) for rule, rows in allowed.groupby("rule")},
    }


def values(*roots: Path | str, workers: int = 2) -> dict[str, frozenset[str]]:
    """
    The names, numbers, birth dates and UIDs in the headers below folders.

    They identify: keep them in memory alone, and compare them there.

    Parameters
    ----------
    *roots : pathlib.Path or str
        Folders of DICOM files.
    workers : int, default 2
        Processes that read.

    Returns
    -------
    dict of frozenset of str
        By keyword.
    """
    together: dict[str, set[str]] = {keyword: set() for keyword in _VALUES}
    tasks = [files for root in roots for files in _batches(Path(root))]
    workers = workers if len(tasks) > workers else 1
    for found in parallel.in_order(_values_task, tasks, workers=workers):
        for keyword, said in found.items():
            together[keyword] |= said
    return {keyword: frozenset(said) for keyword, said in together.items()}


_VALUES = (
    *("PatientName", "PatientID", "AccessionNumber", "PatientBirthDate", "OtherPatientIDs"),
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"),
)


def _values_task(files: tuple[Path, ...]) -> dict[str, set[str]]:
    """The identities of some files."""
    found: dict[str, set[str]] = {keyword: set() for keyword in _VALUES}
    for path in files:
        with contextlib.suppress(Exception), warnings.catch_warnings():  # damaged: in any way
            warnings.simplefilter("ignore")
            dataset = _identities(path) if _is_dicom(path) else {}
            for keyword in _VALUES:
                found[keyword].update(_said(dataset, keyword))
    return found


def _identities(path: Path) -> Any:
    """A file's header as far as its pixels, the identities in it alone."""
    with disable_value_validation():
        return pydicom.dcmread(
            path, force=True, stop_before_pixels=True, specific_tags=list(_VALUES)
        )


def _said(dataset: Any, keyword: str) -> Iterator[str]:
    """An attribute's values as text, empty ones left out."""
    value = dataset.get(keyword)
    several = value if isinstance(value, list | pydicom.multival.MultiValue) else [value]
    yield from (str(one).strip() for one in several if one is not None and str(one).strip())


def _n_named(finding: Finding) -> int:
    """How many files of a finding are named: those to be dealt with."""
    return _NAMED_FILES if RULES[finding.rule].status == "refuse" else 1


def _order(finding: Finding) -> tuple[int, str]:
    """The gravest rule first, then by name."""
    return list(RULES).index(finding.rule), finding.attribute


def _batches(root: Path) -> list[tuple[Path, ...]]:
    """All files, some at a time."""
    files = list(folders.files(root))
    starts = range(0, len(files), _FILES_A_TASK)
    return [tuple(files[start : start + _FILES_A_TASK]) for start in starts]


def _task(task: tuple[Root, tuple[Path, ...]]) -> _Found:
    """For each finding in some files, how many and the first, without a patient's name."""
    root, files = task
    found: _Found = {}
    for path in files:
        findings, names = _of_file(path, path.relative_to(root.folder).parts)
        for finding in findings:
            count, first = found.get(finding, (0, ()))
            if len(first) < _n_named(finding):
                first = (*first, _nameless(root, path, names))
            found[finding] = count + 1, first
    return found


def _of_file(path: Path, parts: Sequence[str]) -> tuple[set[Finding], set[str]]:
    """What identifies in one file, and the parts of its path that do."""
    try:
        if not _is_dicom(path):
            return {Finding("file that is not DICOM", "", "not_looked_at")}, set()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pydicom finds odd is told by the inventory
            dataset = _read(path)
            if not len(dataset):  # cut off within its first bytes
                return {_UNREADABLE}, set()
            found = set(_in_header(dataset)) | set(_in_kind(dataset))
            named = list(_in_parts(dataset, parts))
            if _is_to_be_looked_at(dataset):
                found |= _in_pixels(path)
    except Exception:  # a damaged file fails in any of pydicom's ways
        return {_UNREADABLE}, set()
    found |= {Finding(f"{keyword} in a path", "", "name_in_path") for keyword, _ in named}
    return found, {part for _, part in named}


def _is_dicom(path: Path) -> bool:
    """Whether the first bytes are those of DICOM, with a preamble or without."""
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or start[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08")


def _read(path: Path) -> Any:
    """A file's header, and what follows its pixels; long values are left where they are."""
    with disable_value_validation():
        return pydicom.dcmread(path, force=True, defer_size=_DEFER_BYTES)


def _in_header(dataset: Any) -> Iterator[Finding]:
    """What identifies in preamble, file meta information and data set."""
    if (dataset.preamble or b"").strip(b"\x00"):
        yield Finding("preamble", "X", "preamble")
    yield from _in_dataset(dataset.file_meta)
    for tag in dataset.file_meta.keys() & {Tag(title) for title in _TITLES}:
        if _is_filled(dataset.file_meta, tag):
            yield Finding(_keyword(tag), "X", "application_title")
    yield from _in_dataset(dataset)


def _in_dataset(dataset: Any, above: tuple[str, ...] = ()) -> Iterator[Finding]:
    """What identifies in a data set and, below it, in its sequences."""
    for tag in dataset.keys():  # noqa: SIM118 - iterating a Dataset itself converts every value
        kind = _kind(tag)
        if kind is not None and _is_filled(dataset, tag):
            yield kind if kind.action == "U" else _below(above, kind)
        if not tag.is_private and _is_sequence(dataset, tag) and len(above) < _SEQUENCE_ENDS:
            for item in dataset[tag].value:
                yield from _in_dataset(item, (*above, _keyword(tag)))


def _below(above: tuple[str, ...], kind: Finding) -> Finding:
    """A finding named with the sequences around it; groups of attributes stand alone."""
    if kind.rule not in ("identifying_attribute", "date_or_time"):
        return kind
    return kind._replace(attribute=".".join((*above, kind.attribute)))


@lru_cache(maxsize=8192)
def _kind(tag: BaseTag) -> Finding | None:
    """What an attribute is to the standard's Basic Profile; None where it is harmless."""
    if tag.is_private:
        return Finding(f"private attributes ({tag.group:04X},xxxx)", "X", "private_attribute")
    if 0x6000 <= tag.group <= 0x60FF:
        return Finding("overlays (60xx,xxxx)", "X", "overlay")
    if 0x5000 <= tag.group <= 0x50FF:
        return Finding("curves (50xx,xxxx)", "X", "curve")
    return _basic_profile().get(int(tag))


@lru_cache(maxsize=1)
def _basic_profile() -> dict[int, Finding]:
    """The attributes of table E.1-1, each with its rule."""
    with Path(__file__).with_name("identifying_attributes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {int(row["tag"], 16): Finding(row["keyword"], row["action"], _rule(row)) for row in rows}


def _rule(row: dict[str, str]) -> str:
    """The rule under which an attribute of the table is reported."""
    if row["action"] == "U":
        return "unique_identifier"
    tag = int(row["tag"], 16)
    representation = dictionary_VR(tag) if dictionary_has_tag(tag) else ""
    is_time = representation in ("DA", "TM", "DT") or row["keyword"].endswith("DateTime")
    return "date_or_time" if is_time else "identifying_attribute"


def _keyword(tag: BaseTag) -> str:
    """An attribute's keyword; its tag where it has none."""
    return pydicom.datadict.keyword_for_tag(tag) or f"({tag.group:04X},{tag.element:04X})"


def _is_filled(dataset: Any, tag: BaseTag) -> bool:
    """Whether an attribute is there and not empty; a sequence of empty items is empty."""
    if _is_sequence(dataset, tag):
        return any(_is_filled(item, below) for item in dataset[tag].value for below in item.keys())  # noqa: SIM118
    element = dataset.get_item(tag, keep_deferred=True)
    if not isinstance(element, RawDataElement):
        return not element.is_empty
    if element.value is None:  # left in the file, since it is long
        return bool(element.length)
    return bool(element.value.strip(b" \x00"))


def _is_sequence(dataset: Any, tag: BaseTag) -> bool:
    """Whether an attribute holds data sets, by what the file or else the dictionary says."""
    stated = dataset.get_item(tag, keep_deferred=True).VR
    if stated in (None, "UN") and not tag.is_private and dictionary_has_tag(tag):
        return bool(dictionary_VR(tag) == "SQ")
    return bool(stated == "SQ")


def _in_kind(dataset: Any) -> Iterator[Finding]:
    """What kind of picture is refused."""
    if any(said.upper() == "YES" for said in _said(dataset, "BurnedInAnnotation")):
        yield Finding("BurnedInAnnotation", "", "burned_in_annotation")
    if _is_secondary_capture(dataset):
        yield Finding("secondary capture", "", "secondary_capture")


def _is_secondary_capture(dataset: Any) -> bool:
    uid = str(dataset.get("SOPClassUID", ""))
    return uid == _SECONDARY_CAPTURE or uid.startswith(f"{_SECONDARY_CAPTURE}.")


def _is_to_be_looked_at(dataset: Any) -> bool:
    """Whether text may be burned in: screenshots, colour, scouts and what is not axial."""
    if not any(tag in dataset for tag in _PIXELS):
        return False
    if str(dataset.get("SOPClassUID", "")).startswith(_NO_PICTURES):
        return False
    colour = dataset.get("SamplesPerPixel", 1) != 1
    scout = "LOCALIZER" in _said(dataset, "ImageType")
    return colour or scout or _is_secondary_capture(dataset) or not _is_axial(dataset)


def _is_axial(dataset: Any) -> bool:
    """Whether a slice is said to lie across the body."""
    orientation = dataset.get("ImageOrientationPatient")
    if orientation is None or len(orientation) != 6:
        return False
    right, down = np.reshape([float(number) for number in orientation], (2, 3))
    return bool(abs(np.cross(right, down)[2]) >= _AXIAL_COSINE)


def _in_pixels(path: Path) -> set[Finding]:
    """Text that seems to be burned in, or that the pixels cannot be decoded."""
    try:
        pictures = _pictures(pydicom.dcmread(path, force=True))
    except Exception:  # a damaged file fails in any of a decoder's ways
        return {Finding("pixels that cannot be decoded", "", "not_looked_at")}
    written = any(burned_in_text.is_written_on(picture) for picture in pictures)
    return {Finding("text in the pixels", "", "burned_in_text")} if written else set()


def _pictures(dataset: Any) -> list[npt.NDArray[Any]]:
    """The first, the middle and the last frame."""
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    pixels = dataset.pixel_array
    if n_frames == 1:
        return [pixels]
    return [pixels[frame] for frame in sorted({0, n_frames // 2, n_frames - 1})]


def _in_parts(dataset: Any, parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Keywords whose values stand in the path, each with the part that holds it."""
    for keyword in _NAMED_BY:
        for value in _said(dataset, keyword):
            for place, part in enumerate(parts, start=1):
                if _names(part, keyword, value, is_folder=place < len(parts)):
                    yield keyword, part


def _names(part: str, keyword: str, value: str, *, is_folder: bool) -> bool:
    """Whether a folder's or file's name holds a value: in whole words, accents and case aside."""
    words, sought = _words(part), _words(value)
    if keyword == "PatientName":
        return any(len(word) >= _SHORT and word in words for word in sought)
    if is_folder and words == sought:
        return True
    starts = range(len(words) - len(sought) + 1)
    holds = any(words[start : start + len(sought)] == sought for start in starts)
    return holds and len("".join(sought)) >= _SHORT


def _words(text: str) -> list[str]:
    """Letters and digits in a row, in lower case without accents."""
    bare = unicodedata.normalize("NFKD", text).casefold()
    return re.findall(r"[^\W_]+", "".join(c for c in bare if not unicodedata.combining(c)))


def _nameless(root: Root, path: Path, names: set[str]) -> str:
    """A file's path below the root; parts that name a patient stand as their place in order."""
    said, folder = [root.said] if root.said else [], root.folder
    for part in path.relative_to(folder).parts:
        if part in names or _is_of(part, root.patients):
            neighbours = sorted(entry.name for entry in folder.iterdir())
            said.append(f"[{neighbours.index(part) + 1} of {len(neighbours)}]")
        else:
            said.append(folders.printable(part))
        folder /= part
    return "/".join(said)


def _is_of(part: str, patients: frozenset[str]) -> bool:
    """Whether a folder or file is named like one of these patients, its ending aside."""
    name = folders.printable(part)
    return name in patients or any(name.startswith(f"{patient}.") for patient in patients)
