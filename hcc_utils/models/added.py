"""What one model's score adds to another's: a likelihood-ratio test whose null is permuted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import comparison
from hcc_utils.models import combined, logistic
from hcc_utils.study.scores import Scores


def likelihood_ratio(scores: Scores, *, permutations: int = 999, seed: int = 0) -> pd.DataFrame:
    """
    The rows of ``added.csv``: the chi-square by which each score adds to another.

    Parameters
    ----------
    scores : Scores
        As `evaluation.comparison.compare` takes them.
    permutations : int, default 999
        How often what the comparator leaves unexplained in the model's risk is dealt out anew.
    seed : int, default 0
        Deals.

    Returns
    -------
    pandas.DataFrame
        The columns of ``metrics.csv``, a row a pair: ``likelihood_ratio``, its ``estimate`` the
        chi-square (1 degree of freedom) of the model's log odds beside the comparator's, its
        ``p_value`` the share of permutations with as large a one.

    Notes
    -----
    The chi-square distribution is no null here: where the scores are out of fold, those of one
    fold come from a fit to the others, and a model's form was chosen. Permutations stay within a
    fold. They hold the comparator fixed; what was fitted before is not repeated.
    """
    permutations = checks.whole("permutations", permutations, least=1)
    rows = [
        _row(pair, permutations, seed)
        for pair in comparison.pairs(scores, use="test what is added")
    ]
    return pd.DataFrame(rows, columns=list(comparison.COLUMNS))


def _row(pair: pd.DataFrame, permutations: int, seed: int) -> dict[str, object]:
    """One pair's chi-square and how often chance gives as much; missing with one class alone."""
    event = pair["event"].to_numpy(dtype=bool)
    if event.all() or not event.any():
        return comparison.row(pair, "likelihood_ratio")
    old, new = (combined.log_odds(risk, pair[risk]) for risk in ("risk_old", "risk"))
    found, chance = logistic.added(
        np.column_stack([np.ones(len(pair)), old]),
        new,
        event,
        pair["fold"].fillna(-1).to_numpy(),
        permutations=permutations,
        seed=seed,
    )
    as_large = (np.abs(chance) >= np.abs(found) - 1e-9).sum()
    numbers = (found**2, np.nan, np.nan)
    p_value = float((1 + as_large) / (1 + permutations))
    return comparison.row(pair, "likelihood_ratio", numbers, p_value=p_value)
