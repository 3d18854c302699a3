"""A hospital's table read through its codebook into the study's vocabulary."""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
import openpyxl
import pandas as pd

from hcc_utils import checks
from hcc_utils.checks import Problem, Problems
from hcc_utils.study.codebook import Codebook, Column, is_number, plain
from hcc_utils.study.manifest import Centre, Endpoint, Manifest
from hcc_utils.study.vocabulary import label

PREDICTORS = ("diameter_mm", "cirrhosis", "capsule", "fusion_lesion", "nodule_in_nodule")

# What a table must hold for each chapter that the study does not leave out; the endpoint and its
# months come on top.
REQUIRED: dict[str, tuple[str, ...]] = {
    "01_cohort": ("patient_id", "age_years", "sex", "treatment"),
    "04_comparison": PREDICTORS,
    "05_nomogram_dca": PREDICTORS,
    "06_survival": ("death", "months_to_death"),
}

MONTHS = "months_to_"
EVENTS: tuple[str, ...] = get_args(Endpoint)

_SHOWN = 10  # lines a column and rule; a column of days for months would fill a book
_LONGEST_MEDIAN_MONTHS = 240  # no cohort of liver cancer is followed for twenty years in the median
_ID = r"\w[\w.-]{0,63}"
_ROUNDING = 1e-9


_MODELS = ("04_comparison", "05_nomogram_dca")  # what a study can do without, and still be one


def required(manifest: Manifest) -> tuple[str, ...]:
    """
    The columns that a study's tables must hold.

    Parameters
    ----------
    manifest : Manifest
        The study; its endpoint and the chapters it leaves out decide.

    Returns
    -------
    tuple of str
        Names of the vocabulary.
    """
    chapters = (chapter for chapter in REQUIRED if chapter not in manifest.chapters_left_out)
    names = [name for chapter in chapters for name in _needs(manifest, chapter)]
    endpoint = [manifest.endpoint, f"{MONTHS}{manifest.endpoint}"]
    return tuple(dict.fromkeys([*names, *endpoint]))


def chapters_without(manifest: Manifest, patients: pd.DataFrame) -> dict[str, str]:
    """
    The chapters that a table cannot serve, since it lacks optional columns, each with its reason.

    Parameters
    ----------
    manifest : Manifest
        The study.
    patients : pandas.DataFrame
        As `read` gives them.

    Returns
    -------
    dict of str to str
        By chapter; those that the study itself leaves out are not repeated.
    """
    found = {}
    for chapter in _MODELS:
        lacks = [label(name) for name in _needs(manifest, chapter) if name not in patients]
        if lacks and chapter not in manifest.chapters_left_out:
            found[chapter] = f"The table lacks what its models need: {', '.join(lacks)}."
    return found


def _spared(manifest: Manifest, centre: str, codebook: Codebook) -> set[str]:
    """Optional columns that only models need: without them development does without models."""
    if manifest.centre(centre).role == "validation":
        return set()
    models = {name for chapter in _MODELS for name in _needs(manifest, chapter)}
    others = {*REQUIRED["01_cohort"], *REQUIRED["06_survival"]}
    return {name for name in models - others if codebook.is_optional(name)}


def _needs(manifest: Manifest, chapter: str) -> tuple[str, ...]:
    """The columns that one chapter needs beside the endpoint."""
    plan = manifest.clinical_model
    return plan.columns if plan and chapter in _MODELS else REQUIRED[chapter]


def read(manifest: Manifest, centre: str) -> pd.DataFrame:
    """
    A centre's patients in the study's vocabulary.

    Parameters
    ----------
    manifest : Manifest
        The study.
    centre : str
        A centre's name.

    Returns
    -------
    pandas.DataFrame
        One row a patient: ``patient_id`` and ``centre``, then the columns of the codebook in the
        vocabulary's order. Flags are nullable booleans, numbers floats, levels text. Where the
        codebook has no ``has_ct`` and the centre has a DICOM root, ``has_ct`` and ``has_images``
        say whether the patient has a folder there. An optional column that the table lacks is
        absent.

    Raises
    ------
    Problems
        All that is wrong with the codebook, or all that is wrong with the table, each with file,
        line, column and rule.
    """
    codebook = Codebook.read(manifest.path(centre, "codebook"))
    given = manifest.centre(centre)
    table = _Table.read(manifest.path(centre, "table"), given)
    reading = _Reading(table, codebook)
    needed = [n for n in required(manifest) if n not in _spared(manifest, centre, codebook)]
    patients = pd.DataFrame({name: reading.values(name) for name in reading.there(needed)})
    reading.require(needed, patients)
    reading.compare(patients)
    reading.finish()
    patients.insert(1, "centre", centre)
    if given.dicom and "has_ct" not in patients:
        here = patients["patient_id"].isin(manifest.folders(centre)).astype("boolean")
        patients = patients.assign(has_ct=here, has_images=here)
    return patients.reset_index(drop=True)


@dataclass(frozen=True)
class _Table:
    """A table's cells as text, before anything is known of their meaning."""

    name: str
    cells: pd.DataFrame  # index: the line (csv) or row (xlsx) in the file

    @classmethod
    def read(cls, path: Path, centre: Centre) -> _Table:
        """The cells of a file, without spaces around them; empty lines are passed over."""
        name, sheet = centre.table, centre.sheet
        if not path.is_file():
            raise Problems([Problem(name, "there is no such file", remedy=centre.source or "")])
        content = path.read_bytes()
        if not content.strip():
            raise Problems([Problem(name, "the file is empty")])
        of_a_workbook = path.suffix.lower() == ".xlsx"
        rows = list(_workbook(content, name, sheet) if of_a_workbook else _csv(content, name))
        rows = [(line, row) for line, row in rows if any(row)]
        if not rows:
            raise Problems([Problem(name, "the table is empty")])
        header_line, header = rows[0]
        _separated_by_commas(f"{name}:{header_line}", header)
        problems = [*_header(name, header_line, header), *_ragged(name, len(header), rows[1:])]
        if len(rows) == 1:
            problems.append(Problem(name, "holds a header and no patient"))
        if problems:
            raise Problems(problems)
        lines = pd.Index([line for line, _ in rows[1:]])
        cells = pd.DataFrame([row for _, row in rows[1:]], columns=header, index=lines, dtype=str)
        return cls(name, cells)


def _csv(content: bytes, name: str) -> Iterator[tuple[int, list[str]]]:
    """Each row of a CSV file with the line on which it begins."""
    reader = csv.reader(io.StringIO(_text(content, name), newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            yield line, [cell.strip() for cell in row]
            line = reader.line_num + 1
    except csv.Error as error:
        rule = f"cannot be read as CSV from here on ({error})"
        raise Problems([Problem(f"{name}:{line}", rule)]) from None


def _text(content: bytes, name: str) -> str:
    """The text of a CSV file that is UTF-8 (with or without its mark)."""
    remedy = "Save it again as 'CSV UTF-8 (comma delimited)'."
    for start, what in (
        (b"PK\x03\x04", "is an Excel workbook named .csv"),
        (b"\xd0\xcf\x11\xe0", "is an old Excel workbook (.xls) named .csv"),
        (b"\xff\xfe", "is UTF-16 text"),
        (b"\xfe\xff", "is UTF-16 text"),
    ):
        if content.startswith(start):
            raise Problems([Problem(name, f"must be CSV in UTF-8, and {what}", remedy=remedy)])
    if b"\0" in content:
        rule = "must be CSV in UTF-8, and holds zero bytes (UTF-16 without its mark?)"
        raise Problems([Problem(name, rule, remedy=remedy)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        rule = "must be CSV in UTF-8; a byte here is not (latin-1 or a Windows code page?)"
        raise Problems([Problem(f"{name}:{line}", rule, remedy=remedy)]) from None


def _workbook(content: bytes, name: str, sheet: str | None) -> Iterator[tuple[int, list[str]]]:
    """Each row of a workbook's sheet with its number."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # styles that openpyxl does not know
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError):
        rule = "is named .xlsx and is no Excel workbook (or has a password)"
        raise Problems([Problem(name, rule, remedy="Save it again as .xlsx.")]) from None
    if sheet is None and len(book.sheetnames) > 1:
        rule = f"holds {len(book.sheetnames)} sheets: {', '.join(book.sheetnames)}"
        raise Problems([Problem(name, rule, remedy="Name one as the centre's `sheet`.")])
    if sheet is not None and sheet not in book.sheetnames:
        rule = f"has no sheet {sheet!r}{checks.nearest(sheet, book.sheetnames)}"
        raise Problems([Problem(name, rule)])
    cells = book[sheet or book.sheetnames[0]]
    rows = [[_cell(cell) for cell in row] for row in cells.iter_rows(values_only=True)]
    book.close()
    width = max((len(row) for row in rows), default=0)
    for line, row in enumerate(rows, start=1):
        yield line, row + [""] * (width - len(row))


def _cell(cell: object) -> str:
    """A workbook's cell as text: whole numbers without a point."""
    if isinstance(cell, float):
        return f"{cell:.0f}" if cell.is_integer() else repr(cell)
    return "" if cell is None else str(cell).strip()


def _separated_by_commas(where: str, header: list[str]) -> None:
    """Refuse a header that another separator holds together: nothing else could be said."""
    for separator, what in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(header) == 1 and separator in header[0]:
            rule = f"columns must be separated by commas; here they are separated by {what}"
            raise Problems([Problem(where, rule, remedy="Save it again with commas.")])


def _header(name: str, line: int, header: list[str]) -> Iterator[Problem]:
    """Columns that stand more than once."""
    for column in dict.fromkeys(header):
        if column and header.count(column) > 1:
            rule = f"stands {header.count(column)} times in the header; a column may stand once"
            yield Problem(f"{name}:{line}: column {column!r}", rule)


def _ragged(name: str, width: int, rows: list[tuple[int, list[str]]]) -> Iterator[Problem]:
    """Rows with more or fewer cells than the header."""
    ragged = [(line, len(row)) for line, row in rows if len(row) != width]
    for line, cells in ragged[:_SHOWN]:
        rule = f"must have {width} cells, as the header; it has {cells}"
        remedy = "Quote a cell that holds a comma." if cells > width else ""
        yield Problem(f"{name}:{line}", rule, remedy=remedy)
    if len(ragged) > _SHOWN:
        yield Problem(name, f"{len(ragged) - _SHOWN} more rows have another number of cells")


@dataclass(frozen=True)
class _Reading:
    """A table being read through a codebook, and the problems met on the way."""

    table: _Table
    codebook: Codebook
    problems: list[Problem] = field(default_factory=list)
    troubled: set[str] = field(default_factory=set)

    def there(self, needed: Iterable[str]) -> list[str]:
        """The codebook's variables, less the optional ones whose column the table lacks."""
        return [
            name
            for name, column in self.codebook.columns.items()
            if name in needed
            or not column.optional
            or all(source in self.table.cells for source in column.columns)
        ]

    def values(self, name: str) -> pd.Series:
        """One variable for every patient; what cannot be read is missing and a problem."""
        column = self.codebook.columns[name]
        index = self.table.cells.index
        if not column.columns:
            values = pd.Series([column.constant] * len(index), index)
        else:
            parts = [self._part(column, source) for source in column.columns]
            values = _any(parts) if len(parts) > 1 else parts[0]
        if column.variable.kind == "flag":
            return values.astype("boolean")
        if column.variable.kind == "number":
            return values.astype(float)
        return values.astype(object).where(values.notna(), np.nan)

    def require(self, names: Iterable[str], patients: pd.DataFrame) -> None:
        """Keep a problem for each column that the study needs and that is missing or empty."""
        for name in names:
            where = f"{self.table.name}: {name}"
            if name not in patients:
                rule = "the study needs it and the codebook does not say which column holds it"
                remedy = f"Add it to columns in {self.codebook.path.name}."
                self.problems.append(Problem(where, rule, remedy=remedy))
            elif patients[name].isna().all() and name not in self.troubled:
                self.problems.append(Problem(where, "the study needs it and no patient has it"))

    def compare(self, patients: pd.DataFrame) -> None:
        """Keep a problem for each patient whose columns contradict each other."""
        kinds = ("extrahepatic_metastasis", "macrovascular_invasion")
        if {"aggressive_pd", *kinds} <= set(patients):
            either = patients[kinds[0]] | patients[kinds[1]]
            wrong = (patients["aggressive_pd"] != either).fillna(value=False)
            self._refuse(wrong, "aggressive_pd", f"must be true where {' or '.join(kinds)} is")
        for event in EVENTS:
            months = f"{MONTHS}{event}"
            if event in patients and months in patients:
                lost = patients[event].notna() & patients[months].isna()
                if months not in self.troubled:
                    self._refuse(lost, months, f"must be given where {event} is")
            if months in patients and "months_to_death" in patients:
                late = patients[months] > patients["months_to_death"] + _ROUNDING
                self._refuse(late, months, "must not lie beyond months_to_death")

    def finish(self) -> None:
        """Raise all problems, in the order of their lines."""
        if self.problems:
            raise Problems(sorted(dict.fromkeys(self.problems), key=_line))

    def _part(self, column: Column, source: str) -> pd.Series:
        """One column of the hospital's as values of the vocabulary."""
        if source not in self.table.cells:
            present = [name for name in self.table.cells if name]
            where = f"{self.table.name}:1: column {source!r} ({column.variable.name})"
            rule = f"is not in the header{checks.nearest(source, present)}"
            book = f"{self.codebook.path.name}, line {column.line}, asks for it."
            self.problems.append(Problem(where, rule, remedy=book))
            self.troubled.add(column.variable.name)
            return pd.Series(np.nan, self.table.cells.index, dtype=object)
        cells = self.table.cells[source]
        if column.variable.kind == "text":
            return self._ids(column, cells)
        if column.variable.kind == "number":
            return self._numbers(column, cells)
        return self._levels(column, cells)

    def _ids(self, column: Column, cells: pd.Series) -> pd.Series:
        """Ids that can be folders, each once."""
        name = column.variable.name
        empty = cells.isin(self.codebook.missing)
        bad = ~empty & (~cells.str.fullmatch(_ID) | cells.str.contains("..", regex=False))
        twice = ~empty & cells.duplicated()
        self._refuse(empty, name, "must not be empty")
        self._refuse(bad, name, "must be letters, digits, _ . and - (it names a folder)", cells)
        self._refuse(twice, name, "stands twice; one row a patient", cells)
        return cells

    def _levels(self, column: Column, cells: pd.Series) -> pd.Series:
        """Words of the vocabulary, by the codebook's codes."""
        known: dict[str, object] = {}
        unknown: list[str] = []
        for cell in cells.unique():
            try:
                known[cell] = column.meaning(cell)
            except KeyError:
                known[cell] = None
                if plain(cell) not in self.codebook.missing:
                    unknown.append(cell)
        if unknown:
            self._refuse(cells.isin(unknown), column.variable.name, _levels_rule(column), cells)
        return cells.map(known)

    def _numbers(self, column: Column, cells: pd.Series) -> pd.Series:
        """Finite numbers within the vocabulary's bounds, in its unit."""
        variable = column.variable
        words = cells.map({cell: plain(cell) for cell in cells.unique()})
        coded = words.isin(column.codes)
        unknown = words.isin(self.codebook.missing) & ~coded
        text = words.where(~coded, words.map(column.codes).astype(str))
        good = text.map({cell: is_number(cell) for cell in text.unique()}) & ~unknown
        bad = ~good & ~unknown & ~(coded & words.map(column.codes).isna())
        for rule, found in _not_numbers(cells, bad):
            self._refuse(found, variable.name, rule, cells)
        numbers = text.where(good).astype(float) * column.multiply_by
        outside = numbers.notna() & ~numbers.between(variable.low, variable.high)
        self._refuse(outside, variable.name, _range_rule(column), cells)
        if variable.name.startswith(MONTHS) and numbers.median() > _LONGEST_MEDIAN_MONTHS:
            rule = f"half lie beyond {_LONGEST_MEDIAN_MONTHS} months; were days given?"
            where = f"{self.table.name}: column {cells.name!r} ({variable.name})"
            remedy = "For days set multiply_by: 0.0328549 (12 / 365.25) in the codebook."
            self.problems.append(Problem(where, rule, remedy=remedy))
        return numbers.where(~outside)

    def _refuse(
        self, wrong: pd.Series, name: str, rule: str, cells: pd.Series | None = None
    ) -> None:
        """Keep a problem for each row that is wrong, and a count where they are many."""
        column = self.codebook.columns[name]
        sources = [str(cells.name)] if cells is not None else list(column.columns)
        said = f"column {' or '.join(map(repr, sources)) or 'constant'} ({name})"
        lines = wrong.index[wrong.to_numpy(dtype=bool)]
        if len(lines):
            self.troubled.add(name)
        for line in lines[:_SHOWN]:
            found = "" if cells is None else repr(cells[line])
            self.problems.append(Problem(f"{self.table.name}:{line}: {said}", rule, found))
        if len(lines) > _SHOWN:
            more = f"{rule}; so in {len(lines) - _SHOWN} more rows"
            self.problems.append(Problem(f"{self.table.name}: {said}", more))


def _any(parts: list[pd.Series]) -> pd.Series:
    """True where any part is true, false where all are false, else not known."""
    flags = [part.astype("boolean") for part in parts]
    result = flags[0]
    for flag in flags[1:]:
        result = result | flag
    return result


def _levels_rule(column: Column) -> str:
    """What a cell must be."""
    if column.codes:
        return f"the codes lack this cell (they have {', '.join(column.codes)})"
    if column.variable.kind == "flag":
        return "must be 1, 0, true or false, or have a code in the codebook"
    return f"must be {', '.join(column.variable.levels)}, or have a code in the codebook"


def _not_numbers(cells: pd.Series, bad: pd.Series) -> Iterator[tuple[str, pd.Series]]:
    """Cells that are no numbers, by what is the matter with them."""
    patterns: tuple[tuple[str, str], ...] = (
        (r"[-+]?[0-9]+,[0-9]+", "must be a number with a decimal point; this has a comma"),
        (r"[<>≤≥]=?\s*[0-9].*", "must be a number; say what a bound means in the codebook's codes"),
        (r"(?i)[-+]?inf(?:inity)?|∞", "must be a finite number"),
        (
            r"(?i)na|nan|null|none|n/a|-|\?|#n/a",
            "must be a number; if it means 'not known', add it to missing",
        ),
    )
    left = bad
    for pattern, rule in patterns:
        found = left & cells.str.fullmatch(pattern)
        yield rule, found
        left = left & ~found
    yield "must be a number", left


def _range_rule(column: Column) -> str:
    """The bounds, and what is often meant by a number beyond them."""
    variable = column.variable
    rule = f"must lie from {variable.low:g} to {variable.high:g}"
    rule += "" if column.multiply_by == 1 else f" after multiplying by {column.multiply_by:g}"
    days = "were days given? " if variable.name.startswith(MONTHS) else ""
    return f"{rule} ({days}if it means 'not known', add it to missing)"


def _line(problem: Problem) -> int:
    """The line that a problem names; 0 where it concerns the whole table."""
    found = re.match(r"[^:]*:(\d+)", problem.where)
    return int(found.group(1)) if found else 0
