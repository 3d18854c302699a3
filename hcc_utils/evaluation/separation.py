"""Whether some combination of covariates decides the outcome, so that no estimate exists."""

from __future__ import annotations

import numpy as np

from hcc_utils import checks


def separates(contrasts: checks.Floats) -> bool:
    """
    Whether some weights make every contrast at least zero and one of them positive.

    Parameters
    ----------
    contrasts : numpy.ndarray of float, shape (n_contrasts, n_coefficients)
        For a logistic model each row of the design, its sign turned where there was no event;
        for a Cox model the patient with the event minus each patient at risk.

    Returns
    -------
    bool
        True where the likelihood rises without end, so that no finite estimate exists.

    References
    ----------
    .. [1] Konis (2007), Linear programming algorithms for detecting separated data, Oxford.
    """
    from scipy.optimize import linprog

    checks.numbers("contrasts", np.ravel(contrasts))
    rows = np.unique(contrasts, axis=0)
    rows = rows / np.maximum(np.abs(rows).max(axis=0, initial=0), np.finfo(float).tiny)
    if rows.size == 0:
        return False
    best = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=(-1, 1))
    return bool(-best.fun > 1e-6)
