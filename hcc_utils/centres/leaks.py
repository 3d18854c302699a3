"""The gate before anything leaves a hospital: what in it would name a patient or this machine."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path, PurePath

import pandas as pd

from hcc_utils import checks
from hcc_utils.centres.identities import Identities
from hcc_utils.centres.texts import Piece, texts
from hcc_utils.study import folders, results
from hcc_utils.study.progress import say

COLUMNS: tuple[str, ...] = ("file", "kind", "place", "status")
MACHINE, PATIENTS, NAMED = "path of this machine", "column patient_id", "named like a patient"

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
INTERNAL: tuple[str, ...] = ("patient_id", PATIENTS, *UIDS)
"""What may stand in a book that stays in the hospital: the study's own ids, and images' numbers."""

_PATIENT_ID = "patient_id"
_HEADING = re.compile(rf"<th[^>]*>\s*{_PATIENT_ID}\s*</th>")
# what may stand before an absolute path; after a word or a host it is another folder
_BEGINS = re.compile(r"(?:^|[^\w./~%-]|file://|\\[ntr])$")
_REMEDIES = {
    MACHINE: "Give paths relative to the study's folder.",
    PATIENTS: "Hand over counts or estimates; a table with a row for each patient stays.",
    "DICOM file": "Images stay in the hospital, de-identified ones too.",
}
_REMEDY = "Take it out where it is written, run that step again, and look once more."


def leaks(folder: Path | str, identities: Identities) -> pd.DataFrame:
    """
    What in a folder would name a patient or this machine, never the value itself.

    Parameters
    ----------
    folder : pathlib.Path or str
        What is to leave: a folder, or one file.
    identities : Identities
        Of the study's patients.

    Returns
    -------
    pandas.DataFrame
        One row for each file, kind and place: ``file`` (below the folder; a part named like a
        patient stands as "[named like a patient]"), ``kind`` (of identity, or a kind of file that
        may not leave), ``place`` (a line, a way through JSON, "file name", ...) and ``status``:
        "refuse", or "warn" where something cannot be looked for.
    """
    folder = Path(folder)
    found = folders.files(folder) if folder.is_dir() else iter([folder])
    rows = [
        row for file in [*found, *_hidden(folder)] for row in _in_file(file, folder, identities)
    ]
    rows += [("", kind, place, "warn") for kind, place in _not_looked_for(identities)]
    return pd.DataFrame(list(dict.fromkeys(rows)), columns=list(COLUMNS))


def refuse_leaks(
    folder: Path | str, identities: Identities, *, allow: Iterable[str] = ()
) -> pd.DataFrame:
    """
    What cannot be looked for, and what was allowed, where nothing else would leak.

    Parameters
    ----------
    folder : pathlib.Path or str
        What is to leave: a folder, or one file.
    identities : Identities
        Of the study's patients.
    allow : iterable of str, optional
        Kinds that somebody answers for (a birth date that is everybody's default, say).

    Returns
    -------
    pandas.DataFrame
        Rows of `leaks` with the status "warn" or "allowed"; they belong into ``run.json``.

    Raises
    ------
    Problems
        If anything else would leave: each place, and the next step.
    """
    found = leaks(folder, identities)
    found.loc[found["kind"].isin(list(allow)) & (found["status"] == "refuse"), "status"] = "allowed"
    refused = found[found["status"] == "refuse"]
    if len(refused):
        raise checks.Problems(_problem(folder, row) for row in refused.to_dict("records"))
    return found


def let_out(made: Path, place: Path, identities: Identities, *, allow: Iterable[str] = ()) -> None:
    """
    Nothing; what was made stands in its place, where nothing in it would leak.

    What cannot be looked for is said. What is refused does not come into its place; an earlier one
    stays there.

    Parameters
    ----------
    made : pathlib.Path
        A file or folder, in a temporary folder beside its place.
    place : pathlib.Path
        Where it belongs.
    identities : Identities
        Of the study's patients.
    allow : iterable of str, optional
        Kinds that may leave, such as `INTERNAL`.

    Raises
    ------
    Problems
        If something would leak: each place, and the next step.
    """
    kept = refuse_leaks(made, identities, allow=allow)
    for row in kept[kept["status"] == "warn"].to_dict("records"):
        say(f"{place.name}: {row['kind']}: {row['place']}")
    if place.is_dir():
        place.rename(made.with_name(f"earlier {made.name}"))
    made.replace(place)


def _problem(folder: Path | str, row: dict[str, str]) -> checks.Problem:
    """One refusal, which quotes no value."""
    folder = Path(folder)
    file = f"{folder.name}/{row['file']}" if folder.is_dir() else row["file"]
    where = f"{file}: {row['place']}"
    rule = f"{row['kind']} must not leave the hospital"
    return checks.Problem(where, rule, remedy=_REMEDIES.get(row["kind"], _REMEDY))


def _hidden(folder: Path) -> Iterator[Path]:
    """Files that an ordinary listing leaves out, and that leave all the same."""
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file() and any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _in_file(path: Path, folder: Path, identities: Identities) -> Iterator[tuple[str, ...]]:
    """What one file would tell, by its name and by its content."""
    below = path.relative_to(folder) if path != folder else PurePath(path.name)
    file = "/".join(_nameless(part, identities) for part in below.parts)
    for kind, _ in identities.in_text("\n".join(below.parts)):
        yield file, kind, "file name", "refuse"
    # a font's codes look like short ids: what came with a package knows nobody
    for piece in () if _is_installed(path) else texts(path):
        for kind, place in _in_piece(piece, identities):
            yield file, kind, place, "refuse"


def _is_installed(path: Path) -> bool:
    """Whether a file is, byte for byte, one of an installed package."""
    digest = base64.urlsafe_b64encode(bytes.fromhex(results.sha256(path)))
    return digest.rstrip(b"=").decode() in _installed()


@lru_cache(maxsize=1)
def _installed() -> frozenset[str]:
    """The SHA-256 of every file of every installed package, as their own lists give them."""
    listed = (file.hash for package in metadata.distributions() for file in package.files or ())
    return frozenset(digest.value for digest in listed if digest and digest.mode == "sha256")


def _nameless(part: str, identities: Identities) -> str:
    """A part of a path or place, unless it names a patient."""
    return f"[{NAMED}]" if any(identities.in_text(part)) else part


def _in_piece(piece: Piece, identities: Identities) -> Iterator[tuple[str, str]]:
    """Kinds and places of what a text would tell."""
    place = _nameless(piece.place, identities).strip()
    if piece.problem:
        yield piece.problem, place or "whole file"
        return
    for kind, line in identities.in_text(piece.text):
        yield kind, place or f"line {line}"
    for line in _machine(piece.text, identities.places):
        yield MACHINE, place or f"line {line}"
    if piece.names and _PATIENT_ID in piece.text.split("\n"):
        yield PATIENTS, place
    for match in _HEADING.finditer(piece.text):
        yield PATIENTS, place or f"line {piece.text.count(chr(10), 0, match.start()) + 1}"


def _machine(text: str, places: Iterable[str]) -> Iterator[int]:
    """The lines in which a folder of this machine stands, with slashes of either kind."""
    for place in places:
        parts = place.split("/")
        if parts[-1] not in text:
            continue
        path = r"[\\/]+".join(map(re.escape, parts))
        for match in re.finditer(rf"{path}(?![\w.-])", text):
            if _BEGINS.search(text, max(match.start() - 7, 0), match.start()):
                yield text.count("\n", 0, match.start()) + 1


def _not_looked_for(identities: Identities) -> Iterator[tuple[str, str]]:
    """What is not known to be absent."""
    for kind, count in identities.unsearchable.items():
        yield kind, f"{count} too short or too plain to be told from other words: not looked for"
    for centre in identities.unread:
        yield _PATIENT_ID, f"the table of {centre} cannot be read: its patients are not looked for"
