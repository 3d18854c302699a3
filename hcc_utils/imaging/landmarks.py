"""Hounsfield units where the anatomy is known: whether pixels mean what they should."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.checks import Problem, Problems
from hcc_utils.imaging import roi, rules, series_choice
from hcc_utils.imaging import series as ct
from hcc_utils.imaging.headers import Header, ImagingError
from hcc_utils.study import folders
from hcc_utils.study.manifest import Manifest

COLUMNS: tuple[str, ...] = ("patient_id", "tissue", "slice_z_mm", "row", "column")
REACH_PIXELS = 4  # a patch of 9 x 9 pixels


class Range(NamedTuple):
    """The mean that a patch of a tissue should have, and where that is from."""

    low_hu: float
    high_hu: float
    source: str


_BODY = "Mourtzakis et al. (2008), Appl Physiol Nutr Metab 33:997-1006"
_ENHANCED = (
    "our choice: 40 to 70 HU without contrast, and what contrast adds in the portal-venous phase "
    "(Bae (2010), Radiology 256:32-61), with room for scanners, doses and bodies"
)

EXPECTED_HU: dict[str, Range] = {
    "air": Range(-1024, -880, "-1000 by definition, with scatter; -1024 is the lowest kept"),
    "fat": Range(-150, -50, f"visceral fat; {_BODY}"),
    "muscle": Range(-29, 150, _BODY),
    "liver": Range(70, 220, _ENHANCED),
    "spleen": Range(70, 220, _ENHANCED),
    "portal_vein": Range(100, 280, _ENHANCED),
    "aorta": Range(100, 280, _ENHANCED),
}
"""Wide: they tell wrong units, which are off by hundreds, not a wrong phase. Bone varies too much
to be expected anywhere."""

_TYPES: dict[str, str] = {
    "patient_id": "str",
    "tissue": "str",
    "slice_z_mm": "float64",
    "hu": "float64",
    "sd_hu": "float64",
    "low_hu": "float64",
    "high_hu": "float64",
    "inside": "boolean",
    "rescale_intercept": "float64",
    "problem": "str",
}


def read(study: Manifest, centre: str) -> pd.DataFrame:
    """
    A centre's landmarks.

    Parameters
    ----------
    study : Manifest
        The centre's ``landmarks`` is a CSV table of `COLUMNS`: the height of a slice in mm (the
        third number of its ImagePositionPatient), row and column from 0 of a pixel around which
        9 x 9 pixels show one tissue of `EXPECTED_HU`.
    centre : str
        A centre's name.

    Returns
    -------
    pandas.DataFrame
        One row a landmark; none where the centre names no table.

    Raises
    ------
    Problems
        All that is wrong with the table, each with file, line, column and rule.
    """
    named, path = study.centre(centre).landmarks, study.path(centre, "landmarks")
    if named is None or path is None:
        return pd.DataFrame(columns=list(COLUMNS))
    if not path.is_file():
        raise Problems([Problem(named, "there is no such file")])
    lines = list(_lines(named, path))
    problems = [problem for line, row in lines for problem in _wrong(f"{named}:{line}", row)]
    if problems:
        raise Problems(problems)
    table = pd.DataFrame([row for _, row in lines], columns=list(COLUMNS))
    return table.astype({"slice_z_mm": float, "row": int, "column": int})


def measured(study: Manifest, patients: pd.DataFrame) -> pd.DataFrame:
    """
    Mean Hounsfield units of each landmark, beside those that its tissue should have.

    Scanners store pixels with different offsets (RescaleIntercept 0 or -1024, and others): once
    slope and intercept are applied, the same tissue comes out alike. The slice is the nearest one,
    within half a slice spacing.

    Parameters
    ----------
    study : Manifest
        Names each hospital's DICOM folder, landmarks and chosen series.
    patients : pandas.DataFrame
        One row a patient: ``patient_id``, ``centre``.

    Returns
    -------
    pandas.DataFrame
        One row for each landmark of the hospitals that name any: ``patient_id``, ``tissue``,
        ``slice_z_mm`` (as in the table), ``hu`` and ``sd_hu`` (mean and standard deviation of
        9 x 9 pixels), ``low_hu`` and ``high_hu`` (`EXPECTED_HU`), ``inside``,
        ``rescale_intercept`` (as the slice's header has it), ``problem`` ("", or the rule and the
        next step where it could not be measured: nothing is left out).

    Raises
    ------
    InputError
        If a hospital's table of landmarks is wrong, or it names no DICOM folder.
    """
    checks.columns(patients, ["patient_id", "centre"], name="patients")
    return table(
        row
        for name, own in patients.groupby("centre", sort=False)
        for row in _of_hospital(study, str(name), frozenset(own["patient_id"]))
    )


def table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """
    Rows of Hounsfield units as one table.

    Parameters
    ----------
    rows : iterable of dict
        As `entry` gives them.

    Returns
    -------
    pandas.DataFrame
        The columns of `measured`, with their types even where there is no row.
    """
    return pd.DataFrame(list(rows), columns=list(_TYPES)).astype(_TYPES)


def joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """
    Tables of Hounsfield units one below the other.

    Parameters
    ----------
    tables : sequence of pandas.DataFrame
        As `table` gives them.

    Returns
    -------
    pandas.DataFrame
        All rows, with the types of `table`.
    """
    return ct.joined(tables, list(_TYPES)).astype(_TYPES)


def entry(
    patient_id: str,
    tissue: str,
    slice_z_mm: float,
    pixels: Callable[[], tuple[Header, npt.NDArray[np.floating]]],
) -> dict[str, Any]:
    """
    One row of Hounsfield units.

    Parameters
    ----------
    patient_id : str
        Whose.
    tissue : str
        Of `EXPECTED_HU`.
    slice_z_mm : float
        Where.
    pixels : callable
        Gives the slice and those of its Hounsfield units that show the tissue.

    Returns
    -------
    dict
        The columns of `measured`; where `pixels` raises an `ImagingError`, its ``problem``.
    """
    expected = EXPECTED_HU[tissue]
    row = {
        "patient_id": patient_id,
        "tissue": tissue,
        "slice_z_mm": slice_z_mm,
        "low_hu": expected.low_hu,
        "high_hu": expected.high_hu,
        "problem": "",
    }
    try:
        header, hu = pixels()
    except ImagingError as error:
        return row | {"problem": f"{error.rule}: {error}"}
    mean = float(hu.mean())
    row |= {"hu": mean, "sd_hu": float(hu.std()), "rescale_intercept": header.intercept}
    return row | {"inside": expected.low_hu <= mean <= expected.high_hu}


def _lines(named: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line of the table with its number; empty ones are passed over."""
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise Problems([Problem(named, "must be CSV in UTF-8")]) from None
    rows = csv.DictReader(text.splitlines())
    missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        rule = f"must have the columns {', '.join(COLUMNS)}; {', '.join(missing)} is missing"
        raise Problems([Problem(f"{named}:1", rule)])
    for row in rows:
        yield rows.line_num, {column: (row[column] or "").strip() for column in COLUMNS}


def _wrong(where: str, row: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong with one line."""
    if not row["patient_id"]:
        yield Problem(f"{where}: patient_id", "must not be empty")
    if row["tissue"] not in EXPECTED_HU:
        rule = f"must be one of {', '.join(EXPECTED_HU)}"
        near = checks.nearest(row["tissue"], EXPECTED_HU)
        yield Problem(f"{where}: tissue", rule, f"{row['tissue']!r}{near}")
    if not _is_number(row["slice_z_mm"]):
        yield Problem(f"{where}: slice_z_mm", "must be a number, in mm", repr(row["slice_z_mm"]))
    for edge in ("row", "column"):
        if not row[edge].isdecimal():
            yield Problem(f"{where}: {edge}", "must be a whole number from 0", repr(row[edge]))


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _of_hospital(study: Manifest, name: str, ids: frozenset[str]) -> Iterator[dict[str, Any]]:
    """The landmarks of one hospital, each measured or with its problem."""
    places, root = read(study, name), study.path(name, "dicom")
    if places.empty:
        return
    if root is None:
        raise checks.InputError(
            f"{name} names landmarks and no dicom folder in the manifest; add the folder."
        )
    there = folders.patient_folders(root)
    for patient_id, own in places.groupby("patient_id", sort=False):
        found: ct.Series | ImagingError
        try:
            _require_known(str(patient_id), ids, there)
            folder = ct.folder(*there[str(patient_id)], patient_id=str(patient_id))
            found = _series(study, name, folder)
        except ImagingError as error:
            found = error
        for place in own.to_dict("records"):
            yield _measured(found, place)


def _require_known(patient_id: str, ids: frozenset[str], there: Mapping[str, object]) -> None:
    """Refuse who is not among the patients, or has no images."""
    if patient_id not in ids:
        raise ImagingError(
            "not_in_cohort", f"{patient_id} is not among the patients; the cohort left them out."
        )
    if patient_id not in there:
        raise ImagingError("no_folder", f"{patient_id} has no folder; put the patient's CT there.")


def _series(study: Manifest, name: str, folder: ct.Folder) -> ct.Series:
    """The series from which the slices are taken too."""
    centre, path = study.centre(name), study.path(name, "roi")

    def drawn_on(series: ct.Series) -> bool:
        if centre.roi is None or path is None:
            return False
        file = roi.file_of(path, folder.patient_id, centre.roi.source, folder)
        return roi.drawn_on(series, file, centre.roi.source)

    named = centre.series.get(folder.patient_id)
    return series_choice.chosen(folder, drawn_on, named=named, rule=centre.series_rule)


def _measured(found: ct.Series | ImagingError, place: dict[str, Any]) -> dict[str, Any]:
    """One landmark's row."""

    def patch() -> tuple[Header, ct.Hounsfield]:
        if isinstance(found, ImagingError):
            raise found
        header = _nearest(found, place["slice_z_mm"])
        return header, _patch(found, header, place["row"], place["column"])

    return entry(place["patient_id"], place["tissue"], place["slice_z_mm"], patch)


def _nearest(series: ct.Series, z_mm: float) -> Header:
    """The one slice at a height."""
    away = np.abs([header.position_mm[2] - z_mm for header in series.slices if header.position_mm])
    half = float(np.median(np.diff(rules.positions(series.slices)))) / 2
    near = np.flatnonzero(away <= away.min() + rules.SAME_PLACE_MM)
    if away.min() > half + rules.SAME_PLACE_MM:
        raise ImagingError(
            "no_such_slice",
            f"{series.patient_id} has no slice within {half:g} mm of {z_mm:g} mm; the nearest is "
            f"{away.min():g} mm away. Correct slice_z_mm, or download the series again.",
        )
    if len(near) > 1:
        raise ImagingError(
            "several_slices",
            f"{series.patient_id} has {len(near)} slices equally near {z_mm:g} mm. Correct "
            "slice_z_mm, or name a series with one slice a place.",
        )
    return series.slices[int(near[0])]


def _patch(series: ct.Series, header: Header, row: int, column: int) -> ct.Hounsfield:
    """The pixels around a place."""
    inside = all(
        REACH_PIXELS <= place < length - REACH_PIXELS
        for place, length in ((row, header.rows), (column, header.columns))
    )
    if not inside:
        raise ImagingError(
            "beyond_image",
            f"{row}, {column} is too near the edge of {header.rows} rows and {header.columns} "
            "columns for 9 x 9 pixels. Correct row and column.",
            header.path,
        )
    around = slice(row - REACH_PIXELS, row + REACH_PIXELS + 1)
    beside = slice(column - REACH_PIXELS, column + REACH_PIXELS + 1)
    return series.hu(header.sop_instance_uid)[around, beside]
