"""Which of a patient's series is meant: named, or told by the manifest's rule; never guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pydicom
from pydicom.config import disable_value_validation

from hcc_utils.imaging import rules, scans
from hcc_utils.imaging.headers import Header, ImagingError
from hcc_utils.imaging.series import Folder, Series
from hcc_utils.study.manifest import SeriesRule

_TAGS = [
    *("SeriesDescription", "AcquisitionNumber", "ContrastBolusStartTime", "AcquisitionTime"),
]


class _Said(NamedTuple):
    """What a slice's header says of the phase."""

    description: str
    acquisition_number: int | None
    delay_s: float

    @property
    def words(self) -> str:
        """For a message."""
        known = [self.description and f"'{self.description}'"]
        known += ["" if self.acquisition_number is None else f"#{self.acquisition_number}"]
        known += ["" if self.delay_s != self.delay_s else f"{self.delay_s:.0f} s after contrast"]
        return ", ".join(filter(None, known)) or "its headers say nothing of the phase"


def chosen(
    folder: Folder,
    drawn_on: Callable[[Series], bool],
    *,
    named: str | None = None,
    rule: SeriesRule | None = None,
) -> Series:
    """
    The series from which the slices are cut.

    Parameters
    ----------
    folder : Folder
        All that the patient's folders hold.
    drawn_on : callable
        Whether the ROI can have been drawn on a series.
    named : str, optional
        The SeriesInstanceUID that somebody chose; no rule is then asked.
    rule : SeriesRule, optional
        The manifest's rule for all patients of the hospital. The one series for which all that
        it says holds is taken, also where there is no other; an acquisition number keeps the
        slices of that acquisition alone.

    Returns
    -------
    Series
        Without a rule, the only usable one.

    Raises
    ------
    ImagingError
        If none or several could be meant: each with what its headers say and the line for the
        manifest that would settle it.
    """
    if named is not None:
        return folder.open(named)
    usable = [folder.open(uid) for uid in folder.usable]
    if not usable:
        raise _nothing_usable(folder)
    left = usable if rule is None else list(_fitting(usable, rule, drawn_on))
    if len(left) == 1:
        return left[0]
    if left:
        raise _several(folder, left, drawn_on)
    raise ImagingError(
        "no_series_by_rule",
        f"{folder.patient_id}: no series keeps the manifest's series_rule ({_rule_words(rule)}). "
        f"There are {'; '.join(map(_words, usable))}. Correct the rule, or name the patient's "
        f"series: {_lines(folder.patient_id, usable)}.",
        folder.paths[0],
    )


def _fitting(
    usable: Iterable[Series], rule: SeriesRule, drawn_on: Callable[[Series], bool]
) -> Iterator[Series]:
    """The series, or the part of one, for which all holds that the rule says."""
    for whole in usable:
        series = _acquisition(whole, rule.acquisition_number)
        if series.slices and _keeps(series, rule) and (not rule.drawn_on or drawn_on(series)):
            yield series


def _acquisition(series: Series, number: int | None) -> Series:
    """The slices of one acquisition; all of them where none is asked for."""
    if number is None:
        return series
    own = (header for header in series.slices if _said(header).acquisition_number == number)
    return replace(series, slices=tuple(own))


def _keeps(series: Series, rule: SeriesRule) -> bool:
    """Whether a series' first slice says what the rule asks of all."""
    said = _said(series.slices[0])
    if rule.description and not re.search(rule.description, said.description, re.IGNORECASE):
        return False
    return rule.delay_s is None or rule.delay_s[0] <= said.delay_s <= rule.delay_s[1]


def _said(header: Header) -> _Said:
    """What one file says."""
    with disable_value_validation():
        dataset: Any = pydicom.dcmread(
            header.path, stop_before_pixels=True, force=True, specific_tags=_TAGS
        )
        number = dataset.get("AcquisitionNumber")
        return _Said(
            description=str(dataset.get("SeriesDescription") or "").strip(),
            acquisition_number=None if number in (None, "") else int(number),
            delay_s=scans.delay_s(dataset),
        )


def _several(
    folder: Folder, left: list[Series], drawn_on: Callable[[Series], bool]
) -> ImagingError:
    """What to say where several series could be meant, with the lines that would settle it."""
    of_roi = [series for series in left if drawn_on(series)]
    why = " (the ROI was drawn on it)" if len(of_roi) == 1 else ""
    return ImagingError(
        "several_series",
        f"{folder.patient_id}: {len(left)} CT series could be meant: "
        f"{'; '.join(map(_words, left))}. Add to the centre in the manifest: "
        f"{_lines(folder.patient_id, of_roi or left)}{why}, or a series_rule for all its patients.",
        folder.paths[0],
    )


def _nothing_usable(folder: Folder) -> ImagingError:
    """What to say where nothing can be used; of an only CT series, what is wrong with it."""
    rows = folder.inventory[folder.inventory["series_instance_uid"] != ""]
    if len(rows) == 1 and not rules.is_no_ct(rows["rules"].iloc[0].split()):
        folder.open(rows["series_instance_uid"].iloc[0])  # raises: says what is wrong with it
    said = [f"{row.series_instance_uid}: {row.rules}" for row in rows.itertuples()]
    said += (folder.packed + folder.unreadable)[:1]
    return ImagingError(
        "no_usable_series",
        f"{folder.patient_id}: {folder.where} holds no usable CT series "
        f"({'; '.join(said) or 'no DICOM file at all'}). Put the portal-venous CT there; where it "
        "was downloaded, download it again.",
        folder.paths[0],
    )


def _words(series: Series) -> str:
    """A series and what its first slice says of the phase."""
    return f"{series.series_instance_uid} ({_said(series.slices[0]).words})"


def _lines(patient_id: str, series: Iterable[Series]) -> str:
    """Lines for the manifest, one for each series."""
    return " or ".join(f'series: {{{patient_id}: "{one.series_instance_uid}"}}' for one in series)


def _rule_words(rule: SeriesRule | None) -> str:
    """What a rule asks for."""
    asked = {} if rule is None else rule.model_dump(exclude_defaults=True)
    return ", ".join(f"{key}: {value}" for key, value in asked.items())
