"""Patients with their slices, and which of them a network learns from and scores."""

from __future__ import annotations

import functools
import hashlib
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.models import harmonisation, network, scoring
from hcc_utils.models.network import Network
from hcc_utils.models.scoring import Pixels
from hcc_utils.models.settings import Settings

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cases:
    """
    Slices, each with the row of its patient (patient_id, centre, event).

    Pixels that are mapped from a file stay there, and what is read of them is not kept: however
    many patients there are, memory holds a batch. Other processes open the same file.
    """

    pixels_hu: Pixels
    patient_of_slice: Rows
    patients: pd.DataFrame

    @classmethod
    def of(
        cls, pixels_hu: Pixels, slices: pd.DataFrame, patients: pd.DataFrame, event: str
    ) -> Cases:
        """
        The slices of these patients.

        Parameters
        ----------
        pixels_hu : numpy.ndarray of int16, shape (n_slices, size, size)
            Intensities in Hounsfield units, in memory or mapped from a file.
        slices : pandas.DataFrame
            One row a slice, in the same order, with ``patient_id``; other patients' are left
            aside, which copies the rest into memory.
        patients : pandas.DataFrame
            One row a patient: ``patient_id``, ``centre`` and the outcome.
        event : str
            The outcome's column.

        Returns
        -------
        Cases
            In the order of rows that was given.

        Raises
        ------
        InputError
            If slices and pixels do not belong together, or a patient has no slice.
        """
        checks.columns(slices, ["patient_id"], name="slices")
        checks.columns(patients, ["patient_id", "centre", event], name="patients")
        _refuse_pixels(pixels_hu, len(slices))
        names = pd.Index(patients["patient_id"].astype(str))
        if not names.is_unique:
            raise checks.InputError(
                f"patients must hold a patient once; {names[names.duplicated()][0]!r} stands twice."
            )
        row = names.get_indexer(slices["patient_id"].astype(str))
        without = names[~np.isin(np.arange(len(names)), row)]
        if len(without):
            raise checks.InputError(
                f"every patient needs a slice; {len(without)} of {len(names)} have none, "
                f"first {without[0]!r}. Leave them out, or look into imaging_problems.csv."
            )
        table = pd.DataFrame(
            {
                "patient_id": names,
                "centre": patients["centre"].to_numpy(),
                "event": checks.outcomes(event, patients[event]),
            }
        )
        asked = row >= 0
        return cls(pixels_hu if asked.all() else pixels_hu[asked], row[asked], table)

    def __getstate__(self) -> dict[str, Any]:
        """Of pixels that are a whole file, its name."""
        file = self.pixels_hu
        # of a part of the file numpy does not know where it begins
        if isinstance(file, np.memmap) and isinstance(file.base, mmap.mmap):
            return vars(self) | {"pixels_hu": Path(str(file.filename))}
        return vars(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the file again."""
        file = state["pixels_hu"]
        if isinstance(file, Path):
            state["pixels_hu"] = np.load(file, mmap_mode="r")
        vars(self).update(state)

    @property
    def event(self) -> checks.Bools:
        """True for each patient in whom it happened."""
        event: checks.Bools = self.patients["event"].to_numpy(dtype=bool)
        return event

    @functools.cached_property
    def digests(self) -> list[str]:
        """A hash of each patient's name, outcome and slices."""
        return [self._digest(row) for row in range(len(self.patients))]

    def _digest(self, row: int) -> str:
        """The hash of one patient."""
        content = hashlib.sha256(str(tuple(self.patients.iloc[row])).encode())
        content.update(self.pixels_hu[self.slices_of(np.array([row]))].tobytes())
        return content.hexdigest()

    def slices_of(self, rows: Rows) -> Rows:
        """
        The slices of some patients.

        Parameters
        ----------
        rows : numpy.ndarray of int
            The patients' rows.

        Returns
        -------
        numpy.ndarray of int
            Positions in ``pixels_hu``.
        """
        return np.flatnonzero(np.isin(self.patient_of_slice, rows))

    def settings_of(self, job: Job, settings: Settings) -> Settings:
        """
        The settings with the window that a job's network has.

        Parameters
        ----------
        job : Job
            Whose patients' intensities decide it.
        settings : Settings
            They say whether it is so.

        Returns
        -------
        Settings
            See `harmonisation.standardised`.
        """
        return harmonisation.standardised(settings, self.pixels_hu, self.slices_of(job.learns))

    def scores(self, model: Network, rows: Rows, settings: Settings) -> checks.Floats:
        """
        The mean of the slices' softmax scores for each of some patients.

        Parameters
        ----------
        model : Network
            A trained network.
        rows : numpy.ndarray of int
            The patients' rows.
        settings : Settings
            The window.

        Returns
        -------
        numpy.ndarray of float, shape (n_rows,)
            Higher is worse.
        """
        slices = self.slices_of(rows)
        score = scoring.slice_scores(model, self.pixels_hu, settings, slices)
        total = np.bincount(self.patient_of_slice[slices], score, minlength=len(self.patients))
        count = np.bincount(self.patient_of_slice[slices], minlength=len(self.patients))
        mean: checks.Floats = total[rows] / count[rows]
        return mean


@dataclass(frozen=True, kw_only=True)
class Job:
    """
    A network to be trained, the patients it learns from, and those it then scores.

    The epoch is chosen on an inner split of those whom it learns from, or on ``chosen_on``.
    """

    name: str
    learns: Rows
    scores: Rows
    chosen_on: Rows | None = None
    member: int = 1  # of an ensemble: each has an inner split of its own
    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        """Refuse a patient on both sides."""
        seen = self.learns if self.chosen_on is None else np.union1d(self.learns, self.chosen_on)
        both = np.intersect1d(seen, self.scores)
        if len(both):
            raise checks.InputError(
                f"network {self.name!r} would score {len(both)} patient(s) it learns from "
                f"(first: row {both[0]}); out-of-fold scores need separate patients."
            )


def _refuse_pixels(pixels_hu: Pixels, n_slices: int) -> None:
    """Raise where pixels are not what the preprocessing writes."""
    if pixels_hu.ndim != 3 or pixels_hu.dtype != np.int16:
        raise checks.InputError(
            f"pixels_hu must be int16 of shape (n_slices, {network.SIZE}, {network.SIZE}); "
            f"got {pixels_hu.dtype} of shape {pixels_hu.shape}. Notebook 02 writes slices.npy."
        )
    if len(pixels_hu) != n_slices or pixels_hu.shape[1:] != (network.SIZE, network.SIZE):
        raise checks.InputError(
            f"pixels_hu must hold one {network.SIZE} x {network.SIZE} slice for each of the "
            f"{n_slices} rows of slices; its shape is {pixels_hu.shape}."
        )
