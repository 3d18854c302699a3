"""Model CSD: Model CS and Model D together, built from scores that no patient helped to make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import discrimination
from hcc_utils.models import logistic
from hcc_utils.study.scores import Scores

_NEVER_CERTAIN = 1e-6
_SEPARATED = "separated: Firth's penalised estimates"
_GIVES = {"out_of_fold": "stacked", "external": "external", "tuned": "tuned"}


@dataclass(frozen=True)
class Recalibration:
    """
    From Model D's score to a risk: a logistic line on the score's logit, frozen.

    Parameters
    ----------
    intercept : float
        Log odds of the event at a score of one half.
    slope : float
        Log odds per logit of the score.
    note : str
        What a reader must know of the fit, or nothing.
    """

    intercept: float
    slope: float
    note: str = ""

    @classmethod
    def fit(cls, d: Scores) -> Recalibration:
        """
        The line through all development patients' out-of-fold scores, for other patients.

        Parameters
        ----------
        d : Scores
            Model D, origin ``out_of_fold``.

        Returns
        -------
        Recalibration
            Frozen.
        """
        d = _one("d", d).require("out_of_fold", use="recalibrate Model D")
        return _line(d.table)

    def apply(self, d: Scores) -> Scores:
        """
        Model D's scores with the risk that this line gives them.

        Parameters
        ----------
        d : Scores
            Model D, of patients who were not in the line's fit.

        Returns
        -------
        Scores
            The same rows and origin, ``risk`` new.

        Raises
        ------
        InputError
            If they are development patients' scores: `recalibrated` leaves each fold out.
        """
        _one("d", d)
        if not set(d.table["origin"]) <= {"external", "tuned"}:
            raise checks.InputError(
                "a frozen recalibration is for patients of another centre; for development "
                "patients use models.combined.recalibrated, which leaves each fold out."
            )
        return Scores(d.table.assign(risk=self._risk(d.table)))

    def to_dict(self) -> dict[str, Any]:
        """
        The line in what JSON can hold.

        Returns
        -------
        dict
            For `from_dict`.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Recalibration:
        """
        The line that `to_dict` wrote.

        Parameters
        ----------
        content : dict
            As JSON gave it back.

        Returns
        -------
        Recalibration
            Equal to the one that was written.
        """
        return cls(**content)

    def _risk(self, table: pd.DataFrame) -> checks.Floats:
        return _expit(self.intercept + self.slope * log_odds("score of Model D", table["score"]))


@dataclass(frozen=True)
class CombinedModel:
    """
    A frozen logistic model of Model CS's score and the logit of Model D's recalibrated risk.

    Parameters
    ----------
    intercept : float
        Log odds where both are 0.
    cs : float
        Log odds per unit of Model CS's score.
    d : float
        Log odds per logit of Model D's recalibrated risk.
    recalibration : Recalibration
        What makes Model D's score a risk at another centre.
    note : str
        What a reader must know of the fit, or nothing.
    """

    intercept: float
    cs: float
    d: float
    recalibration: Recalibration
    note: str = ""

    @property
    def terms(self) -> dict[str, float]:
        """The coefficients by model, as a nomogram takes them."""
        return {"cs": self.cs, "d": self.d}

    def predict(self, cs: Scores, d: Scores) -> Scores:
        """
        Model CSD's scores, with the origin that they then have.

        Parameters
        ----------
        cs : Scores
            Model CS.
        d : Scores
            Model D of the same patients; only its score is read, its risk is made anew.

        Returns
        -------
        Scores
            ``external`` for patients of another centre; ``stacked`` for the development patients
            on whom this model was fitted (their out-of-fold inputs do not make it out of fold).

        Raises
        ------
        InputError
            If the two differ in patients, outcome, protocol or origin, or were apparent.
        """
        cs, d = _paired(cs, d)
        cs.require(*_GIVES, use="predict Model CSD")
        origin = str(d.table["origin"].iloc[0])
        risk = recalibrated(d) if origin == "out_of_fold" else self.recalibration.apply(d)
        return self._scores(cs.table, risk.table, _GIVES[origin])

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
    def from_dict(cls, content: dict[str, Any]) -> CombinedModel:
        """
        The model that `to_dict` wrote.

        Parameters
        ----------
        content : dict
            As JSON gave it back.

        Returns
        -------
        CombinedModel
            Equal to the one that was written.
        """
        line = Recalibration.from_dict(content["recalibration"])
        return cls(**{**content, "recalibration": line})

    def _scores(self, cs: pd.DataFrame, d: pd.DataFrame, origin: str) -> Scores:
        """The rows of Model CSD, from both models' rows with the same patients in one order."""
        score = _design(cs, d) @ np.array([self.intercept, self.cs, self.d])
        return Scores(cs.assign(model="csd", origin=origin, score=score, risk=_expit(score)))


def log_odds(name: str, values: npt.ArrayLike) -> checks.Floats:
    """
    The log odds of probabilities, certainty drawn in by a hair.

    Parameters
    ----------
    name : str
        What the values are, for the message.
    values : array_like of float, shape (n,)
        In [0, 1]; a network may print 0 or 1, whose log odds are infinite.

    Returns
    -------
    numpy.ndarray of float, shape (n,)
        Finite.
    """
    risk = np.clip(checks.probabilities(name, values), _NEVER_CERTAIN, 1 - _NEVER_CERTAIN)
    return np.asarray(np.log(risk / (1 - risk)))


def recalibrated(d: Scores) -> Scores:
    """
    Model D's out-of-fold scores with a risk fitted without each patient's own fold.

    The line of each fold is fitted to the scores of the others, whose networks had seen this
    fold: this suffices to put the scores on the scale of a risk, not for figures of Model CSD
    (see `nested`).

    Parameters
    ----------
    d : Scores
        Model D, origin ``out_of_fold``, its score a probability.

    Returns
    -------
    Scores
        The same rows, ``risk`` new; the score is as it was.

    Raises
    ------
    InputError
        If a score has another origin or no fold, or there is one fold only.
    """
    table = _one("d", d).require("out_of_fold", use="recalibrate Model D").table
    fold = table["fold"]
    if fold.isna().any() or fold.nunique() < 2:
        raise checks.InputError(
            f"Model D's scores need the fold that each patient was left out of, at least two in "
            f"all; {fold.isna().sum()} of {len(fold)} have none, {fold.nunique()} are named."
        )
    risk = np.empty(len(table))
    for left_out in fold.unique():
        inside = (fold == left_out).to_numpy(dtype=bool)
        risk[inside] = _line(table[~inside])._risk(table[inside])
    return Scores(table.assign(risk=risk))


def fit(
    cs: Scores, d: Scores, event: npt.ArrayLike | None = None, weight: npt.ArrayLike | None = None
) -> CombinedModel:
    """
    Model CSD from both models' out-of-fold scores of the development patients.

    Parameters
    ----------
    cs : Scores
        Model CS.
    d : Scores
        Model D of the same patients; only its score is read.
    event : array_like of bool, shape (n_patients,), optional
        What the model predicts, in the order of Model CS; left out, the scores' own event.
    weight : array_like of float, shape (n_patients,), optional
        How much each patient counts; 0 leaves one out. Left out, all count 1.

    Returns
    -------
    CombinedModel
        Frozen, with the recalibration of Model D for other centres.

    Raises
    ------
    InputError
        If a score is not out of fold (a model's scores of patients that it was fitted on would
        count as far too good), the two differ in patients, outcome or protocol, or those who
        count have all had the event, or none has.
    """
    cs, d = _paired(cs, d)
    for scores in (cs, d):
        scores.require("out_of_fold", use="fit Model CSD")
    design = _design(cs.table, recalibrated(d).table)
    counts = np.ones(len(design)) if weight is None else checks.numbers("weight", weight)
    known = counts > 0
    target = np.asarray(cs.table["event"] if event is None else event)
    happened = checks.outcomes("event", target[known], both=True)
    values, note = _fitted(design[known], happened, counts[known])
    return CombinedModel(values[0], values[1], values[2], Recalibration.fit(d), note)


def threshold(scores: Scores) -> float:
    """
    Youden's threshold of one model's development risks.

    Parameters
    ----------
    scores : Scores
        One model, origin ``out_of_fold``, or ``stacked`` where the nested loop is off.

    Returns
    -------
    float
        A risk t such that ``risk >= t`` is high. A statistical cut, not a clinical one.

    Raises
    ------
    InputError
        If a score has another origin, or there are several models, protocols or horizons.
    """
    table = scores.require("out_of_fold", "stacked", use="choose a threshold").table
    for column in ("model", "protocol", "origin", "horizon_months"):
        if len(table[column].unique()) > 1:
            found = ", ".join(sorted(map(str, table[column].unique())))
            raise checks.InputError(
                f"a threshold is chosen for one {column} at a time; got {found}. "
                f"Choose by scores.only or scores.at."
            )
    return discrimination.youden(table["event"], table["risk"])


def nested(
    parts: Iterable[tuple[Scores, Scores, Scores, Scores]],
    fitted: Callable[[Scores, Scores], CombinedModel] = fit,
) -> Scores:
    """
    Model CSD's out-of-fold scores, everything repeated inside each outer fold's training part.

    Parameters
    ----------
    parts : iterable of tuple of Scores
        For each outer fold: Models CS and D of its training part, out of inner folds; then CS
        and D of the patients left out, from models fitted on the whole training part.
    fitted : callable, default `fit`
        The model of a training part's two scores.

    Returns
    -------
    Scores
        Model ``csd``, origin ``out_of_fold``, one row a patient left out.

    Raises
    ------
    InputError
        If a patient who was left out is also in the training part, or is left out twice.
    """
    tables = [
        _left_out(fitted(inner_cs, inner_d), inner_cs, outer_cs, outer_d).table
        for inner_cs, inner_d, outer_cs, outer_d in parts
    ]
    if len(tables) < 2:
        raise checks.InputError(f"nested scores need at least two outer folds; got {len(tables)}.")
    return Scores(pd.concat(tables, ignore_index=True))


def as_published(cs: Mapping[str, Scores], d: Mapping[str, Scores]) -> dict[str, Scores]:
    """
    Model CSD's scores by the paper's choice: fitted where both models had seen the patients.

    Parameters
    ----------
    cs : mapping of str to Scores
        Model CS of ``development``, origin ``apparent``, and of any validation centres.
    d : mapping of str to Scores
        Model D of the same groups; its score is taken as its risk.

    Returns
    -------
    dict of str to Scores
        By group, of the patients whom both models scored: ``apparent`` in development, elsewhere
        the origin of Model D (``tuned`` where the network was chosen on these patients).

    Raises
    ------
    InputError
        If development's scores are not apparent, or the two models differ in outcome or protocol.
    """
    both = {name: _of_both(cs[name], d[name]) for name in cs}
    for scores in both["development"]:
        scores.require("apparent", use="repeat the paper's Model CSD")
    inputs = {
        name: (a.table, b.table.assign(risk=b.table["score"])) for name, (a, b) in both.items()
    }
    event = checks.outcomes("event", inputs["development"][0]["event"], both=True)
    values, note = _fitted(_design(*inputs["development"]), event)
    model = CombinedModel(values[0], values[1], values[2], Recalibration(0.0, 1.0), note)
    return {name: model._scores(a, b, str(b["origin"].iloc[0])) for name, (a, b) in inputs.items()}


def _of_both(cs: Scores, d: Scores) -> tuple[Scores, Scores]:
    """The scores of the patients whom both models scored."""
    ids = set(cs.table["patient_id"]) & set(d.table["patient_id"])
    cs, d = (Scores(one.table[one.table["patient_id"].isin(ids)]) for one in (cs, d))
    return _paired(cs, d, agree=("event", "protocol"))


def _left_out(model: CombinedModel, inner_cs: Scores, outer_cs: Scores, outer_d: Scores) -> Scores:
    """One outer fold's scores, by the model of its training part."""
    cs, d = _paired(outer_cs, outer_d)
    cs.require("out_of_fold", use="stand for an outer fold")
    both = set(cs.table["patient_id"]) & set(inner_cs.table["patient_id"])
    if both:
        raise checks.InputError(
            f"{len(both)} patient(s) of an outer fold are also in its training part: their score "
            f"would not be out of fold. Give inner scores of the training part alone."
        )
    risk = d.table.assign(risk=model.recalibration._risk(d.table))
    return model._scores(cs.table, risk, "out_of_fold")


def _one(model: str, scores: Scores) -> Scores:
    """The scores, where all are of this model."""
    found = set(scores.table["model"])
    if not found <= {model}:
        raise checks.InputError(
            f"scores of model {model!r} are needed here; got {', '.join(sorted(found))}. "
            f"Use scores.only(model={model!r})."
        )
    return scores


def _paired(
    cs: Scores, d: Scores, agree: Iterable[str] = ("event", "protocol", "origin")
) -> tuple[Scores, Scores]:
    """Both models' scores of the same patients, in the order of Model CS."""
    left, right = _one("cs", cs).table, _one("d", d).table
    only_one = set(left["patient_id"]) ^ set(right["patient_id"])
    if only_one:
        raise checks.InputError(
            f"Models CS and D must score the same patients; {len(only_one)} have one score only. "
            f"Take the patients that have both."
        )
    for name, table in (("CS", left), ("D", right)):
        if table["patient_id"].duplicated().any() or len(table["origin"].unique()) > 1:
            raise checks.InputError(
                f"Model {name} must have one score a patient, all of one origin. "
                f"Use scores.only(origin=..., protocol=...)."
            )
    right = right.set_index("patient_id").loc[left["patient_id"]].reset_index()[list(right)]
    for column in agree:
        differ = left[column].to_numpy() != right[column].to_numpy()
        if differ.any():
            raise checks.InputError(
                f"Models CS and D must agree in {column}; {differ.sum()} of {len(left)} patients "
                f"differ. Score both models from one patients.csv, in one protocol."
            )
    return Scores(left.reset_index(drop=True)), Scores(right)


def _line(table: pd.DataFrame) -> Recalibration:
    """The logistic line of the event on Model D's logit."""
    event = checks.outcomes("event", table["event"], both=True)
    logit = log_odds("score of Model D", table["score"])
    values, note = _fitted(np.column_stack([np.ones(len(logit)), logit]), event)
    return Recalibration(values[0], values[1], note)


def _design(cs: pd.DataFrame, d: pd.DataFrame) -> checks.Floats:
    """Ones, Model CS's score and the logit of Model D's risk."""
    score = checks.numbers("score of Model CS", cs["score"])
    return np.column_stack([np.ones(len(score)), score, log_odds("risk of Model D", d["risk"])])


def _fitted(
    design: checks.Floats, event: checks.Bools, weight: checks.Floats | float = 1.0
) -> tuple[list[float], str]:
    """Coefficients, 0 for a column that repeats others (a constant score), and what to say."""
    kept = logistic.independent(design)
    apart = logistic.separated(design[:, kept], event)
    method = logistic.firth if apart else logistic.maximum_likelihood
    found = method(design[:, kept], event, weight=weight)
    values = np.zeros(design.shape[1])
    values[kept] = found.coefficients
    said = [_SEPARATED] if apart else []
    if len(kept) < design.shape[1]:
        said.append("a model's score is constant or repeats the other's: its coefficient is 0")
    return values.tolist(), "; ".join(said)


def _expit(log_odds: checks.Floats) -> checks.Floats:
    """The probability of log odds."""
    return np.asarray(1 / (1 + np.exp(-log_odds)))
