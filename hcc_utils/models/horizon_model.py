"""risk_12 and risk_24: the risk that the event comes by a horizon, with death competing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pandas as pd

from hcc_utils.evaluation import comparison, horizon, survival
from hcc_utils.models import combined
from hcc_utils.models.combined import CombinedModel
from hcc_utils.study.scores import Scores

_Parts = Sequence[tuple[Scores, Scores, Scores, Scores]]


@dataclass(frozen=True)
class HorizonModel:
    """
    Models CS and D together, for the event by a horizon: frozen, and no model where none is told.

    Parameters
    ----------
    horizon_months : int
        The horizon, which counts as within.
    model : CombinedModel or None
        Log odds of the event by then; None where it cannot be fitted.
    note : str
        Why there is no model, or what a reader must know of its fit, or nothing.
    """

    horizon_months: int
    model: CombinedModel | None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """
        The model in what JSON can hold.

        Returns
        -------
        dict
            For `from_dict`.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> HorizonModel:
        """
        The model that `to_dict` wrote.

        Parameters
        ----------
        content : dict
            As JSON gave it back.

        Returns
        -------
        HorizonModel
            Equal to the one that was written.
        """
        model = content["model"] and CombinedModel.from_dict(content["model"])
        return cls(content["horizon_months"], model, content["note"])


def first_events(patients: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    """
    Each patient's first event, death without the endpoint competing.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient: ``patient_id`` and what `survival.cause_from` takes.
    endpoint : str
        The outcome's column.

    Returns
    -------
    pandas.DataFrame
        ``months`` and ``cause``, indexed by ``patient_id``.
    """
    return survival.cause_from(patients.set_index("patient_id"), endpoint)


def fit(cs: Scores, d: Scores, first: pd.DataFrame, horizon_months: int) -> HorizonModel:
    """
    The logistic model of the event by a horizon, weighted for those censored before.

    Parameters
    ----------
    cs : Scores
        Model CS, origin ``out_of_fold``.
    d : Scores
        Model D of the same patients, origin ``out_of_fold``; only its score is read.
    first : pandas.DataFrame
        As `first_events` gives it, of these patients at least.
    horizon_months : int
        The horizon, which counts as within.

    Returns
    -------
    HorizonModel
        Frozen. Without a model where nobody had the event by then or nobody was followed so long;
        below 10 events its note says so.

    Raises
    ------
    InputError
        As `combined.fit`.

    Notes
    -----
    Who died without the event by the horizon counts as without. Who was censored before it weighs
    nothing, and those who were not weigh more (`horizon.weights`): this takes censoring to be
    independent of the event and of both scores. A Fine-Gray model would take the effects to be
    proportional at all times, and its baseline, a curve that steps at single patients' months,
    would have to leave the hospital with it; here three numbers a horizon do. Nothing keeps a
    patient's risk by 24 months above the one by 12: each horizon is fitted by itself.

    References
    ----------
    .. [1] Scheike, Zhang and Gerds (2008), Biometrika 95:205-220.
    .. [2] Blanche, Holt and Scheike (2023), Lifetime Data Analysis 29:441-482.
    """
    own = _of(cs, first)
    events = int(_happened(own, horizon_months).sum())
    if not events:
        return HorizonModel(horizon_months, None, "nobody had the event by then")
    if not _followed(own, horizon_months):
        return HorizonModel(horizon_months, None, "nobody was followed so long")
    model = _weighted(cs, d, first, horizon_months)
    fewest = comparison.FEWEST_EVENTS
    few = f"{events} events by then, fewer than {fewest}: the coefficients are not firm"
    return HorizonModel(horizon_months, model, few if events < fewest else "")


def risks(
    models: Sequence[HorizonModel],
    cs: Scores,
    d: Scores,
    first: pd.DataFrame,
    parts: _Parts = (),
) -> list[Scores]:
    """
    Risks by each horizon, with the origin that they then have.

    Parameters
    ----------
    models : sequence of HorizonModel
        Frozen.
    cs : Scores
        Model CS.
    d : Scores
        Model D of the same patients.
    first : pandas.DataFrame
        As `first_events` gives it, of these patients at least.
    parts : sequence of tuple of Scores, optional
        As `combined.nested` takes them, where the nested loop was run.

    Returns
    -------
    list of Scores
        For each horizon with a model: ``horizon_months`` and ``event``, True where the event came
        by then, missing where follow-up ended before. Origin ``external`` for patients of another
        centre; for those of the fit ``out_of_fold`` by the nested loop, and ``stacked`` without it
        or where an outer fold's training part has no event by the horizon.

    Raises
    ------
    InputError
        As `CombinedModel.predict`.
    """
    found = []
    for one in models:
        if one.model is None:
            continue
        fitted = partial(_weighted, first=first, horizon_months=one.horizon_months)
        if parts and all(_can_be_fitted(part[0], first, one.horizon_months) for part in parts):
            scores = combined.nested(parts, fitted)
        else:
            scores = one.model.predict(cs, d)
        found.append(_by(scores, first, one.horizon_months))
    return found


def _weighted(cs: Scores, d: Scores, first: pd.DataFrame, horizon_months: int) -> CombinedModel:
    """The model of these patients, whose censoring alone makes the weights."""
    own = _of(cs, first)
    weight = horizon.weights(own["months"], own["cause"], horizon_months)
    return combined.fit(cs, d, _happened(own, horizon_months), weight)


def _by(scores: Scores, first: pd.DataFrame, horizon_months: int) -> Scores:
    """The scores as those of a horizon, with what had happened by then."""
    own = _of(scores, first)
    known = horizon.weights(own["months"], own["cause"], horizon_months) > 0
    event = _happened(own, horizon_months).astype("boolean").where(known).array
    months = pd.array([horizon_months] * len(own), dtype="Int64")
    return Scores(scores.table.assign(horizon_months=months, event=event))


def _can_be_fitted(cs: Scores, first: pd.DataFrame, horizon_months: int) -> bool:
    """Whether somebody of them had the event by the horizon, and somebody was followed so long."""
    own = _of(cs, first)
    return bool(_happened(own, horizon_months).any()) and _followed(own, horizon_months)


def _of(scores: Scores, first: pd.DataFrame) -> pd.DataFrame:
    """First events in the scores' order."""
    return first.loc[scores.table["patient_id"]]


def _happened(first: pd.DataFrame, horizon_months: int) -> pd.Series:
    """True where the event came by the horizon."""
    return first["cause"].eq(1) & first["months"].le(horizon_months)


def _followed(first: pd.DataFrame, horizon_months: int) -> bool:
    """Whether anybody was followed to the horizon without an event of either kind."""
    until = horizon.followed_through(first["months"], first["cause"], horizon_months)
    return bool((until > horizon_months).any())
