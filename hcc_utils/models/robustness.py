"""How far patients' scores move when their slices are a little otherwise."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import agreement, discrimination
from hcc_utils.imaging.slices import Cut, Pixels
from hcc_utils.models.scorers import Scorers

Change = tuple[str, str]  # what is changed, and by how much
Readings = dict[Change, list[checks.Floats]]  # each with a score a patient, some missing

COLUMNS = ("perturbation", "amount", "n", "mean_change", "p95_change", "icc", "low", "high",
           "reliability", "auc_before", "auc_after")  # fmt: skip
BARS = {"excellent": 0.9, "good": 0.75, "moderate": 0.5}  # Koo and Li's, of the ICC's lower limit
_SHIFTS_PIXELS = (1, 2, 5, 10)
_KERNELS = ("nearest", "cubic")
_NOISE_HU = (5, 10, 20)
_WINDOW_PERCENT = (10, 20)

_RECUT: list[tuple[Change, Cut]] = [
    *(
        (("roi_shift_pixels", str(by)), Cut(by * down, by * right))
        for by in _SHIFTS_PIXELS
        for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1))
    ),
    *((("resize_kernel", kernel), Cut(kernel=kernel)) for kernel in _KERNELS),
    *((("noise_hu", str(sd)), Cut(noise_hu=sd)) for sd in _NOISE_HU),
]
CUTS: list[Cut] = [cut for _, cut in _RECUT]


def robustness(scorers: Scorers, recut: Iterable[tuple[str, Pixels | None]] = ()) -> pd.DataFrame:
    """
    How far scores move, and whether they still agree, under each change of the slices.

    Parameters
    ----------
    scorers : Scorers
        Patients, each with a network that has not learnt from the patient.
    recut : iterable of tuple of str and numpy.ndarray
        Patients whose slices were cut again by `CUTS`, as `imaging.study_slices.recut` yields
        them; some of the patients, or none.

    Returns
    -------
    pandas.DataFrame
        One row a change: ``perturbation``, ``amount``, ``n`` (patients), ``mean_change`` and
        ``p95_change`` (mean and 95th percentile of the score's absolute change, over patients and
        readings), ``icc``, ``low``, ``high`` (95 %), ``reliability`` (by the lower limit:
        excellent from 0.9, good from 0.75, moderate from 0.5, else poor), ``auc_before``,
        ``auc_after`` (the mean over readings; missing where one class alone is there).

        ``roi_shift_pixels``: the box moved up, down, left and right, by the CT's own pixels: four
        readings. ``resize_kernel`` and ``noise_hu`` (SD of white noise on the CT's own pixels):
        one. ``window_centre_percent``, ``window_width_percent``: less and more: two.
        ``slices_fewer``: the mean without the first and without the last slice, on which readers
        disagree: two; patients with one slice do not take part.

    Notes
    -----
    The ICC is that of single readings with absolute agreement (ICC2), as Koo and Li advise for
    tests and retests: a threshold is frozen, so that scores which all move alike do not agree.

    References
    ----------
    .. [1] Koo and Li (2016), Journal of Chiropractic Medicine 15:155-163.
    """
    score = scorers.slice_scores()
    before = scorers.means(score)
    readings = _recut(scorers, recut) | _windows(scorers) | _slices_fewer(scorers, score)
    event = scorers.cases.event
    return pd.DataFrame(
        [
            {"perturbation": what, "amount": amount, **_moved(event, before, after)}
            for (what, amount), after in readings.items()
        ],
        columns=list(COLUMNS),
    )


def _recut(scorers: Scorers, recut: Iterable[tuple[str, Pixels | None]]) -> Readings:
    """Scores of slices that were cut again; one patient's pixels are held at a time."""
    names = pd.Index(scorers.cases.patients["patient_id"])
    after = np.full((len(CUTS), len(names)), np.nan)
    for patient_id, pixels in recut:
        if pixels is not None:
            row = names.get_loc(str(patient_id))
            of_slices = scorers.scores_of(row, pixels.reshape(-1, *pixels.shape[2:]))
            after[:, row] = of_slices.reshape(pixels.shape[:2]).mean(axis=1)
    readings: Readings = {change: [] for change, _ in _RECUT}
    for (change, _), scores in zip(_RECUT, after, strict=True):
        readings[change].append(scores)
    return readings


def _windows(scorers: Scorers) -> Readings:
    """Scores through other windows."""
    return {
        (f"window_{part}_percent", str(percent)): [
            scorers.means(scorers.slice_scores(**{name: 1 + sign * percent / 100}))
            for sign in (-1, 1)
        ]
        for part, name in (("centre", "window_centre_hu"), ("width", "window_width_hu"))
        for percent in _WINDOW_PERCENT
    }


def _slices_fewer(scorers: Scorers, score: checks.Floats) -> Readings:
    """Means without the first and without the last slice."""
    patient = scorers.cases.patient_of_slice
    slices = pd.Series(np.arange(len(patient))).groupby(patient)
    count = slices.size().to_numpy()
    rest = np.where(count > 1, count - 1, np.nan)
    total = scorers.means(score) * count
    ends = (slices.first(), slices.last())
    return {("slices_fewer", "1"): [(total - score[end]) / rest for end in ends]}


def _moved(
    event: checks.Bools, before: checks.Floats, after: list[checks.Floats]
) -> dict[str, object]:
    """The figures of one change, of the patients who have all its readings."""
    table = np.column_stack([before, *after])
    known = ~np.isnan(table).any(axis=1)
    table, event = table[known], event[known]
    change = np.abs(table[:, 1:] - table[:, :1])
    icc, low, high = _icc(table)
    return {
        "n": len(table),
        "mean_change": float(change.mean()) if len(table) else np.nan,
        "p95_change": float(np.quantile(change, 0.95)) if len(table) else np.nan,
        "icc": icc,
        "low": low,
        "high": high,
        "reliability": _reliability(low),
        "auc_before": _auc(event, table[:, 0]),
        "auc_after": float(np.mean([_auc(event, scores) for scores in table.T[1:]])),
    }


def _icc(table: checks.Floats) -> tuple[float, float, float]:
    """Absolute agreement of single readings; missing of a single patient."""
    if len(table) < 2:
        return (np.nan,) * 3
    found = agreement.icc(table).set_index("kind").loc["ICC2"]
    return float(found["icc"]), float(found["low"]), float(found["high"])


def _reliability(low: float) -> str:
    """The word for an ICC whose interval begins here."""
    if np.isnan(low):
        return ""
    return next((word for word, bar in BARS.items() if low >= bar), "poor")


def _auc(event: checks.Bools, score: npt.NDArray[np.float64]) -> float:
    """The AUC; missing where one class alone is there."""
    return discrimination.auc(event, score).auc if len(np.unique(event)) == 2 else np.nan
