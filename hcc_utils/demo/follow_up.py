"""What happens to the demo's patients after treatment: progression, death, loss to follow-up."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcc_utils.checks import Bools, Floats

_ENROLMENT_TO_CLOSE = (37, 152)  # April 2007 to November 2016, followed to December 2019
_MONTHS_TO_LOSS = 110
_LEAST_FOLLOW_UP = 15  # so that the last visit of the living lies beyond the paper's one year
_MONTHS_TO_PROGRESSION = 20
_EARLIER_BY_RISK = 0.25
_PROGRESSION_SHAPE = 1.2
_MONTHS_TO_DEATH = 190
_MONTHS_FROM_PROGRESSION_TO_DEATH = 16
_CHILD_PUGH_B_HAZARD = 2.0
_LONGEST_GAP = 2.5  # months between the last visit and the last contact


def outcomes(
    event: Bools,
    kind: np.ndarray,
    linear_predictor: Floats,
    child_pugh: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """
    When aggressive progression and death came, or until when they are known not to have.

    Parameters
    ----------
    event : numpy.ndarray of bool, shape (n_patients,)
        Who has aggressive progression.
    kind : numpy.ndarray of str, shape (n_patients,)
        ``macrovascular``, ``metastasis`` or ``both``; of no meaning without the event.
    linear_predictor : numpy.ndarray of float, shape (n_patients,)
        Log odds of the event: the higher, the earlier it comes.
    child_pugh : numpy.ndarray of str, shape (n_patients,)
        Class B doubles the hazard of death before progression, the competing event.
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    pandas.DataFrame
        The outcome columns. Months run to the event, or to the last visit without it; no visit
        lies after death or the last contact, ``months_to_death``.
    """
    n = len(event)
    close = rng.uniform(*_ENROLMENT_TO_CLOSE, n)
    contact = np.minimum(close, _LEAST_FOLLOW_UP + rng.exponential(_MONTHS_TO_LOSS, n))
    first = _progression_times(linear_predictor, contact, rng)
    hazard = np.where(child_pugh == "B", _CHILD_PUGH_B_HAZARD, 1) / _MONTHS_TO_DEATH
    after = first + rng.exponential(_MONTHS_FROM_PROGRESSION_TO_DEATH, n)
    death_months = np.where(event, after, 1 + rng.exponential(1, n) / hazard)
    death = death_months <= contact
    known = np.minimum(death_months, contact)
    last_visit = np.maximum(known - rng.uniform(0, _LONGEST_GAP, n), np.where(event, first, 0.5))
    later = first + rng.choice([0, 1], n, p=[0.4, 0.6]) * rng.random(n) * (last_visit - first)
    vessel_first = rng.random(n) < 0.5
    metastasis = event & (kind != "macrovascular")
    invasion = event & (kind != "metastasis")
    both = event & (kind == "both")
    to_metastasis = np.where(both & vessel_first, later, first)
    to_invasion = np.where(both & ~vessel_first, later, first)
    months = {
        "months_to_aggressive_pd": np.where(event, first, last_visit),
        "months_to_extrahepatic_metastasis": np.where(metastasis, to_metastasis, last_visit),
        "months_to_macrovascular_invasion": np.where(invasion, to_invasion, last_visit),
        "months_to_death": known,
    }
    return pd.DataFrame(
        {
            "extrahepatic_metastasis": metastasis,
            "macrovascular_invasion": invasion,
            "aggressive_pd": event,
            "death": death,
            **{name: values.round(1) for name, values in months.items()},
        }
    )


def _progression_times(
    linear_predictor: Floats, contact: Floats, rng: np.random.Generator
) -> Floats:
    """Weibull times after the first month, given that they lie before the last contact."""
    scale = _MONTHS_TO_PROGRESSION * np.exp(-_EARLIER_BY_RISK * linear_predictor)
    reached = 1 - np.exp(-(((contact - 1) / scale) ** _PROGRESSION_SHAPE))
    share = rng.random(len(contact)) * reached
    months: Floats = 1 + scale * (-np.log1p(-share)) ** (1 / _PROGRESSION_SHAPE)
    return months
