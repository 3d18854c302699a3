"""Which patients are left out together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks

Folds = npt.NDArray[np.int64]


def assign(
    patients: pd.DataFrame, *, n_folds: int = 5, seed: int, event: str = "aggressive_pd"
) -> Folds:
    """
    The fold of each patient, with every centre and both outcomes spread evenly.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient: ``patient_id``, ``centre`` and the outcome.
    n_folds : int, default 5
        How many folds.
    seed : int
        Decides the draw, together with the patients' names alone: the order of rows does not.
    event : str, default "aggressive_pd"
        The outcome's column.

    Returns
    -------
    numpy.ndarray of int, shape (n_patients,)
        0 to ``n_folds - 1``. Events and non-events of any centre differ by at most one a fold.

    Raises
    ------
    InputError
        If a patient stands twice, or a class has fewer patients than there are folds.
    """
    checks.columns(patients, ["patient_id", "centre", event], name="patients")
    happened = checks.outcomes(event, patients[event])
    names = patients["patient_id"].astype(str).to_numpy()
    _refuse(names, happened, n_folds)
    drawn = np.empty(len(names))
    drawn[np.argsort(names)] = np.random.default_rng(seed).permutation(len(names))
    # dealt like cards, from a pack sorted by outcome and centre
    pack = np.lexsort((drawn, patients["centre"].astype(str).to_numpy(), happened))
    fold: Folds = np.empty(len(names), dtype=np.int64)
    fold[pack] = np.arange(len(names)) % n_folds
    return fold


def _refuse(names: npt.NDArray[np.str_], happened: checks.Bools, n_folds: int) -> None:
    """Raise where no such folds exist."""
    if n_folds < 2:
        raise checks.InputError(f"n_folds must be at least 2; got {n_folds}.")
    if len(set(names)) < len(names):
        raise checks.InputError(
            "patients must hold a patient once; a patient in two folds would be trained on "
            "and scored."
        )
    for found, what in ((happened.sum(), "events"), ((~happened).sum(), "non-events")):
        if found < n_folds:
            raise checks.InputError(
                f"{n_folds} folds need at least {n_folds} {what}; there are {found}. "
                f"Use fewer folds, or more patients."
            )
