"""How many patients a model of so many candidate parameters needs, by Riley's criteria."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.models import clinical
from hcc_utils.models.clinical import Imputer

COLUMNS = ["criterion", "patients", "events", "parameters", "events_per_parameter", "r_squared"]
_SHARE = 0.15  # of the largest R-squared, where nothing is known of it beforehand
_MARGIN = 0.05  # of R-squared, and of the overall risk


def riley(
    parameters: int, prevalence: float, r_squared: float | None = None, shrinkage: float = 0.9
) -> pd.DataFrame:
    """
    The fewest patients for a new model of a binary outcome.

    Parameters
    ----------
    parameters : int
        Coefficients that the model may come to have, the intercept aside: of all candidates,
        whether selected or not.
    prevalence : float
        Share of patients with the event, strictly between 0 and 1.
    r_squared : float, optional
        What the model is expected to explain (Cox and Snell's R-squared, adjusted for optimism);
        left out, 15 % of the largest that the prevalence allows.
    shrinkage : float, default 0.9
        The least calibration slope in new patients that is wanted.

    Returns
    -------
    pandas.DataFrame
        One row a criterion (``shrinkage``: the slope; ``optimism``: Nagelkerke's R-squared at
        most 0.05 too large; ``overall_risk``: known to 0.05; ``all``: the largest of them), with
        ``patients``, ``events``, ``parameters``, ``events_per_parameter``, ``r_squared``.

    Raises
    ------
    InputError
        If there is no parameter, the prevalence or the shrinkage is not strictly between 0 and
        1, or the R-squared is not above 0 and below the shrinkage and its own largest value.

    References
    ----------
    .. [1] Riley et al. (2019), Statistics in Medicine 38:1276-1296.
    .. [2] Riley et al. (2020), BMJ 368:m441.
    """
    checks.whole("parameters", parameters, least=1)
    checks.inside("prevalence", prevalence)
    checks.inside("shrinkage", shrinkage)
    chance = prevalence * np.log(prevalence) + (1 - prevalence) * np.log(1 - prevalence)
    largest = 1 - np.exp(2 * chance)
    r_squared = _SHARE * largest if r_squared is None else r_squared
    checks.inside("r_squared", r_squared, min(shrinkage, largest))
    slope = r_squared / (r_squared + _MARGIN * largest)
    needed = {
        "shrinkage": _patients(parameters, r_squared, shrinkage),
        "optimism": _patients(parameters, r_squared, slope),
        # 1.96 as printed, so that nobody's figure differs by one patient
        "overall_risk": (1.96 / _MARGIN) ** 2 * prevalence * (1 - prevalence),
    }
    whole = {name: int(np.ceil(patients)) for name, patients in needed.items()}
    whole["all"] = max(whole.values())
    rows = [
        _row(name, n, n * prevalence, parameters).assign(r_squared=r_squared)
        for name, n in whole.items()
    ]
    return pd.concat(rows, ignore_index=True)[COLUMNS]


def of_study(patients: pd.DataFrame, outcome: str, candidates: Sequence[str]) -> pd.DataFrame:
    """
    What a study has, above what its candidates would need.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient of development.
    outcome : str
        The outcome's column, known for everybody.
    candidates : sequence of str
        Variables; one of several levels has a parameter for each but the first.

    Returns
    -------
    pandas.DataFrame
        As from `riley`, behind a first row ``here``. One parameter is counted where every
        candidate is the same for all.

    Raises
    ------
    InputError
        If a column is missing, or only one class is present.
    """
    checks.once(patients, [outcome])
    event = checks.outcomes(outcome, patients[outcome], both=True)
    imputer = Imputer.learn(patients, candidates)
    terms, _ = clinical.design(imputer.apply(patients), imputer.values)
    parameters = max(len(terms), 1)
    here = _row("here", len(event), float(event.sum()), parameters)
    return pd.concat([here, riley(parameters, float(event.mean()))], ignore_index=True)[COLUMNS]


def _patients(parameters: int, r_squared: float, slope: float) -> float:
    """How many give a model of this R-squared this calibration slope in new patients."""
    return float(parameters / ((slope - 1) * np.log(1 - r_squared / slope)))


def _row(criterion: str, patients: int, events: float, parameters: int) -> pd.DataFrame:
    """One row; an R-squared is added where one was assumed."""
    return pd.DataFrame(
        {
            "criterion": [criterion],
            "patients": patients,
            "events": events,
            "parameters": parameters,
            "events_per_parameter": events / parameters,
            "r_squared": np.nan,
        }
    )
