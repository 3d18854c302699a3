"""Patients, each with a network that has never seen the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hcc_utils import checks
from hcc_utils.models import scoring, training
from hcc_utils.models.bundle import Bundle
from hcc_utils.models.cases import Cases, Rows
from hcc_utils.models.ensemble import Ensemble
from hcc_utils.models.scoring import Pixels
from hcc_utils.models.settings import Settings


@dataclass(frozen=True, eq=False)
class Scorers:
    """
    Patients, and which network scores whom.

    Parameters
    ----------
    cases : Cases
        Patients and slices.
    ensembles : sequence of Ensemble
        One, or one for each fold.
    network_of_patient : numpy.ndarray of int, shape (n_patients,)
        Its place among the ensembles.
    """

    cases: Cases
    ensembles: Sequence[Ensemble]
    network_of_patient: Rows

    @classmethod
    def of_folds(
        cls, cases: Cases, fold: npt.ArrayLike, settings: Settings, folder: Path | str
    ) -> Scorers:
        """
        Development's patients, each with the network of the other folds.

        Parameters
        ----------
        cases : Cases
            All of development.
        fold : array_like of int, shape (n_patients,)
            As `training.cross_fit` was given it.
        settings : Settings
            As `training.cross_fit` was given them.
        folder : pathlib.Path or str
            Where it has left the networks.

        Returns
        -------
        Scorers
            A network of other patients, slices, folds or settings is not taken, but trained anew.
        """
        folds = np.asarray(fold, dtype=np.int64)
        return cls(cases, training.fold_ensembles(cases, folds, settings, folder), folds)

    @classmethod
    def frozen(cls, cases: Cases, bundle: Bundle) -> Scorers:
        """
        A validation centre's patients with the frozen network.

        Parameters
        ----------
        cases : Cases
            Of the centre.
        bundle : Bundle
            With the network.

        Returns
        -------
        Scorers
            Ready to score.

        Raises
        ------
        InputError
            If the network has learnt from a patient's centre.
        """
        bundle.require_new_centres(cases.patients)
        alone = np.zeros(len(cases.patients), dtype=np.int64)
        return cls(cases, [bundle.ensemble], alone)

    @property
    def members(self) -> list[Scorers]:
        """The same patients, scored by each member of the ensembles alone."""
        each = zip(*(own.alone for own in self.ensembles), strict=True)
        return [replace(self, ensembles=ensembles) for ensembles in each]

    def slice_scores(self, **times: float) -> checks.Floats:
        """
        The score of every slice.

        Parameters
        ----------
        **times : float
            By what each network's window is multiplied: its ``window_centre_hu``, its
            ``window_width_hu``.

        Returns
        -------
        numpy.ndarray of float, shape (n_slices,)
            In [0, 1]; higher is worse.
        """
        score = np.empty(len(self.cases.patient_of_slice))
        for number, ensemble in enumerate(self.ensembles):
            own = self.cases.slices_of(np.flatnonzero(self.network_of_patient == number))
            score[own] = _behind(ensemble, times).slice_scores(self.cases.pixels_hu, own)
        return score

    def scores_of(self, row: int, pixels_hu: Pixels) -> checks.Floats:
        """
        The scores of other slices of one patient.

        Parameters
        ----------
        row : int
            The patient's.
        pixels_hu : numpy.ndarray of int16, shape (n_slices, size, size)
            Intensities in Hounsfield units.

        Returns
        -------
        numpy.ndarray of float, shape (n_slices,)
            By the network that scores this patient.
        """
        own: Ensemble = self.ensembles[self.network_of_patient[row]]
        return own.slice_scores(pixels_hu)

    def means(self, of_slices: checks.Floats) -> checks.Floats:
        """
        Each patient's mean.

        Parameters
        ----------
        of_slices : numpy.ndarray of float, shape (n_slices,)
            A number for every slice.

        Returns
        -------
        numpy.ndarray of float, shape (n_patients,)
            Over the patient's slices.
        """
        patient = self.cases.patient_of_slice
        mean: checks.Floats = np.bincount(patient, of_slices) / np.bincount(patient)
        return mean

    def features(self) -> checks.Floats:
        """
        What the dense layer of each patient's network is given, the mean of the slices.

        Returns
        -------
        numpy.ndarray of float, shape (n_patients, n_features)
            Features of different networks have nothing to do with each other; of an ensemble they
            are the first member's.
        """
        return np.array([self._features(row) for row in range(len(self.cases.patients))])

    def _features(self, row: int) -> checks.Floats:
        """What the dense layer is given, the mean of one patient's slices."""
        given: list[torch.Tensor] = []
        own = self.ensembles[self.network_of_patient[row]]
        slices = self.cases.slices_of(np.array([row]))
        watch = own.first.dense.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        scoring.slice_scores(own.first, self.cases.pixels_hu, own.settings, slices)
        watch.remove()
        mean: checks.Floats = torch.cat(given).double().mean(dim=0).cpu().numpy()
        return mean


def _behind(ensemble: Ensemble, times: dict[str, float]) -> Ensemble:
    """The same networks behind another window."""
    window = {name: getattr(ensemble.settings, name) * by for name, by in times.items()}
    return replace(ensemble, settings=replace(ensemble.settings, **window))
