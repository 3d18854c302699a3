"""Model CS by the paper's choices: complete cases, and figures of the patients of the fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from hcc_utils import checks
from hcc_utils.models import clinical
from hcc_utils.models.clinical import ClinicalModel
from hcc_utils.study.scores import Scores


def fit(
    patients: pd.DataFrame,
    outcome: str = "aggressive_pd",
    candidates: Sequence[str] | None = None,
    p_below: float = 0.1,
) -> ClinicalModel:
    """
    Model CS as the paper made it: each factor alone, then stepwise by AIC, in complete cases.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient of development.
    outcome : str, default "aggressive_pd"
        The outcome's column.
    candidates : sequence of str, optional
        As in `clinical.fit`.
    p_below : float, default 0.1
        As in `clinical.fit`.

    Returns
    -------
    ClinicalModel
        A factor is tried alone in the patients in whom it is known; the selection and the last
        fit are of the patients in whom all are known that passed.

    Raises
    ------
    InputError
        If a column is missing, or the complete cases hold one class only.
    """
    chosen = clinical.candidates_in(patients) if candidates is None else list(candidates)
    alone = clinical.screen(patients, outcome, chosen)
    kept = alone.loc[alone["p_value"] < p_below, "variable"].tolist()
    complete = patients[clinical.Imputer.learn(patients, kept).complete(patients)]
    selected = clinical.step_aic(complete, outcome, kept).selected
    # nothing leaves a model at which the selection ended, so this is the last fit alone
    return clinical.fit(complete, outcome, selected, p_below=2)


def scores(patients: Mapping[str, pd.DataFrame], outcome: str) -> dict[str, Scores]:
    """
    Each group's scores by the Model CS of development's complete cases.

    Parameters
    ----------
    patients : mapping of str to pandas.DataFrame
        ``development`` and any validation centres: one row a patient, with ``patient_id``,
        ``centre`` and the outcome.
    outcome : str
        The outcome's column.

    Returns
    -------
    dict of str to Scores
        By group, protocol ``as_published``: development's origin is ``apparent`` (the model has
        seen these patients), a validation centre's ``external``. Who lacks one of the model's
        factors has no score; a group in which everybody does is left out.

    Raises
    ------
    InputError
        As from `fit`, or if there is no development.
    """
    checks.one_of("development", "development", patients)
    model = fit(patients["development"], outcome)
    complete = {name: table[model.imputer.complete(table)] for name, table in patients.items()}
    return {
        name: Scores.of(
            table,
            model="cs",
            origin="apparent" if name == "development" else "external",
            protocol="as_published",
            score=model.score(table),
            risk=model.risk(table),
            event=outcome,
        )
        for name, table in complete.items()
        if len(table)
    }
