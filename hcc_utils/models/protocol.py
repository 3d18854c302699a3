"""The leak-free protocol: what is fitted in development, and what a validation centre is given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import horizon, time_course
from hcc_utils.evaluation.follow_up import HORIZONS_MONTHS
from hcc_utils.evaluation.nomogram import Nomogram, nomogram
from hcc_utils.models import (
    case_mix,
    clinical,
    coefficients,
    combined,
    folds,
    horizon_model,
    optimism,
    record,
    sample_size,
)
from hcc_utils.models import prespecified as penalised
from hcc_utils.models.clinical import ClinicalModel
from hcc_utils.models.combined import CombinedModel
from hcc_utils.models.horizon_model import HorizonModel
from hcc_utils.models.optimism import Bootstrapped
from hcc_utils.study import cohort, results
from hcc_utils.study.manifest import ClinicalPlan, Manifest
from hcc_utils.study.results import Folder
from hcc_utils.study.scores import Scores

Ranges = dict[str, tuple[float, float]]
_CODINGS = ["coding", "auc", "low", "high"]
_PUBLISHED = ("cs", "d", "csd")
_SHOWN = (5, 95)  # percentiles of a scale: the ends would be single patients


@dataclass(frozen=True, kw_only=True)
class Models:
    """Models CS and CSD (ever, and by each horizon), or a clinical model alone, with thresholds."""

    clinical: ClinicalModel
    combined: CombinedModel | None
    thresholds: dict[str, float]
    horizons: tuple[HorizonModel, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """
        The models in what JSON can hold.

        Returns
        -------
        dict
            For `from_dict`.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Models:
        """
        The models that `to_dict` wrote.

        Parameters
        ----------
        content : dict
            As JSON gave it back.

        Returns
        -------
        Models
            Equal to those that were written.
        """
        return cls(
            clinical=ClinicalModel.from_dict(content["clinical"]),
            combined=content["combined"] and CombinedModel.from_dict(content["combined"]),
            thresholds=content["thresholds"],
            horizons=tuple(HorizonModel.from_dict(one) for one in content["horizons"]),
        )


@dataclass(frozen=True, kw_only=True)
class Developed:
    """
    The models of a centre, its patients' scores, and what a bootstrap says of the fit.

    Parameters
    ----------
    models : Models
        Those behind the scores.
    scores : Scores
        Each with its origin.
    bootstrap : Bootstrapped
        Of the clinical model; tables without rows where nothing was bootstrapped.
    coefficients : pandas.DataFrame
        Model CS's, as `coefficients.beside` gives them; no row where it was not fitted here.
    sample_size : pandas.DataFrame
        As `sample_size.of_study` gives it; no row where nothing was fitted.
    codings : pandas.DataFrame
        ``coding``, ``auc``, ``low``, ``high``: the AUC at the horizon under each way to count
        deaths without the event; no row for a model without a horizon.
    """

    models: Models
    scores: Scores
    bootstrap: Bootstrapped = field(default_factory=Bootstrapped)
    coefficients: pd.DataFrame = field(
        default_factory=partial(pd.DataFrame, columns=coefficients.COLUMNS)
    )
    sample_size: pd.DataFrame = field(
        default_factory=partial(pd.DataFrame, columns=sample_size.COLUMNS)
    )
    codings: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=_CODINGS))

    def write(self, here: Folder) -> None:
        """
        Nothing; all but the models stands in the folder.

        Parameters
        ----------
        here : Folder
            The centre's results.
        """
        self.scores.write(here.own("scores.csv"))
        self.bootstrap.write(here)
        here.write(self.coefficients, "coefficients.csv")
        here.write(self.sample_size, "sample_size.csv")
        here.write(self.codings, "horizon.csv")


def develop(
    patients: pd.DataFrame, d: Scores, inner: pd.DataFrame, endpoint: str
) -> tuple[Models, Scores]:
    """
    Models CS and CSD with the development patients' scores, none from a model that saw them.

    Parameters
    ----------
    patients : pandas.DataFrame
        Development's patients, one row each.
    d : Scores
        Model D's out-of-fold scores; their folds are used for Model CS too.
    inner : pandas.DataFrame
        Model D's inner scores with a column ``outer_fold``, where the nested loop was run; else
        no rows.
    endpoint : str
        The outcome's column.

    Returns
    -------
    models : Models
        Fitted on all development patients, for other centres.
    scores : Scores
        Models CS and D out of fold; CSD out of fold where the loop was nested, else stacked. CSD
        once more for each horizon (`horizon_model.risks`).
    """
    d.require("out_of_fold", use="develop Model CSD")
    patients = _in_order(patients, d)
    cs = clinical.cross_fit(patients, d.table["fold"], endpoint)
    csd_model = combined.fit(cs, d)
    parts = [] if inner.empty else list(_outer_folds(patients, cs, d, inner, endpoint))
    csd = combined.nested(parts) if parts else csd_model.predict(cs, d)
    scores = cs + combined.recalibrated(d) + csd
    first = horizon_model.first_events(patients, endpoint)
    horizons = tuple(horizon_model.fit(cs, d, first, months) for months in HORIZONS_MONTHS)
    models = Models(
        clinical=clinical.fit(patients, endpoint),
        combined=csd_model,
        thresholds={model: combined.threshold(scores.only(model=model)) for model in _PUBLISHED},
        horizons=horizons,
    )
    return models, sum(horizon_model.risks(horizons, cs, d, first, parts), start=scores)


def apply(models: Models, patients: pd.DataFrame, d: Scores, endpoint: str) -> Scores:
    """
    The frozen models' scores of another centre's patients: nothing is fitted.

    Parameters
    ----------
    models : Models
        Frozen.
    patients : pandas.DataFrame
        The centre's patients, one row each.
    d : Scores
        Model D's external scores.
    endpoint : str
        The outcome's column.

    Returns
    -------
    Scores
        Models CS, D and CSD, CSD once more for each horizon, origin ``external``.
    """
    d.require("external", use="be given to frozen models")
    csd = _combined(models)
    patients = _in_order(patients, d)
    cs = Scores.of(
        patients,
        model="cs",
        origin="external",
        score=models.clinical.score(patients),
        risk=models.clinical.risk(patients),
        event=endpoint,
    )
    first = horizon_model.first_events(patients, endpoint)
    scores = cs + csd.recalibration.apply(d) + csd.predict(cs, d)
    return sum(horizon_model.risks(models.horizons, cs, d, first), start=scores)


def prespecified(patients: pd.DataFrame, plan: ClinicalPlan, endpoint: str, seed: int) -> Developed:
    """
    A clinical model of factors named before any fit, with its patients' out-of-fold scores.

    Parameters
    ----------
    patients : pandas.DataFrame
        Development's patients, one row each.
    plan : ClinicalPlan
        The factors, and the horizon within which the endpoint counts.
    endpoint : str
        The outcome's column.
    seed : int
        Draws the folds and the bootstrap.

    Returns
    -------
    Developed
        Of the patients whose status at the horizon is known.
    """
    outcome = f"{endpoint}_by_{plan.horizon_months}_months"
    status = horizon.status_at(patients, endpoint, plan.horizon_months)
    known = patients.assign(**{outcome: status})[status.notna()].reset_index(drop=True)
    fold = folds.assign(known, seed=seed, event=outcome)
    scores = penalised.cross_fit(known, fold, outcome, plan.factors, plan.horizon_months)
    models = Models(
        clinical=penalised.fit(known, outcome, plan.factors),
        combined=None,
        thresholds={"clinical": combined.threshold(scores)},
    )
    return Developed(
        models=models,
        scores=scores,
        bootstrap=(
            penalised.optimism(known, outcome, plan.factors, seed=seed)
            if optimism.enough(known[outcome].to_numpy(dtype=bool))
            else Bootstrapped()
        ),
        sample_size=sample_size.of_study(known, outcome, plan.factors),
        codings=_auc_by_coding(known, scores, plan.horizon_months, endpoint, seed),
    )


def _auc_by_coding(
    patients: pd.DataFrame, scores: Scores, months: int, endpoint: str, seed: int
) -> pd.DataFrame:
    """The AUC at the horizon under each way to count deaths without the event."""
    risk = scores.table.set_index("patient_id")["risk"].reindex(patients["patient_id"])
    rows = []
    for coding, first in horizon.codings(patients, endpoint).items():
        area = horizon.auc_at(first["months"], first["cause"], risk, months, seed=seed)
        rows.append({"coding": coding, "auc": area.auc, "low": area.low, "high": area.high})
    return pd.DataFrame(rows)


def at_centre(study: Manifest, here: Folder, *, bundle: str = "") -> Developed:
    """
    The models and the scores of one centre: developed there, or frozen and applied.

    Parameters
    ----------
    study : Manifest
        Its endpoint, and its clinical model where it has one in place of the published three.
    here : Folder
        The centre's results: ``patients.csv`` and, but for a clinical model, ``scores_d.csv``.
    bundle : str, optional
        The frozen bundle's folder; without it the models are developed.

    Returns
    -------
    Developed
        Models, and scores of the patients whom they could score.
    """
    patients = here.read("patients.csv")
    if study.clinical_model is not None:
        return prespecified(patients, study.clinical_model, study.endpoint, study.seed)
    d = Scores.read(here.path / "scores_d.csv")
    if bundle:
        models = models_of(here, bundle=bundle)
        return Developed(models=models, scores=apply(models, patients, d, study.endpoint))
    inner = here.read("inner_scores_d.csv")
    models, scores = develop(patients, d, inner, study.endpoint)
    return _looked_into(models, scores, _in_order(patients, d), study)


def _looked_into(
    models: Models, scores: Scores, patients: pd.DataFrame, study: Manifest
) -> Developed:
    """The published models, with how firmly Model CS stands on these patients."""
    endpoint, candidates = study.endpoint, clinical.candidates_in(patients)
    fitted = partial(clinical.fit, outcome=endpoint)
    bootstrap = Bootstrapped()
    if optimism.enough(patients[endpoint].to_numpy(dtype=bool)):
        bootstrap = optimism.bootstrapped(patients, endpoint, fitted, candidates, seed=study.seed)
    return Developed(
        models=models,
        scores=scores,
        bootstrap=bootstrap,
        coefficients=coefficients.beside(models.clinical, patients, endpoint),
        sample_size=sample_size.of_study(patients, endpoint, candidates),
    )


def models_of(here: Folder, *, bundle: str = "") -> Models:
    """
    The models that a centre uses: the bundle's, or development's own.

    Parameters
    ----------
    here : Folder
        The centre's results.
    bundle : str, optional
        The frozen bundle's folder.

    Returns
    -------
    Models
        Frozen.
    """
    if bundle:
        return Models.from_dict(record.read(bundle))
    return Models.from_dict(here.read_json("models.json"))


def ranges_of(here: Folder, models: Models, scores: Scores, *, bundle: str = "") -> Ranges:
    """
    What the nomogram's scales cover: the 5th to the 95th percentile of development.

    Parameters
    ----------
    here : Folder
        The centre's results; a clinical model's factors are read from ``patients.csv``.
    models : Models
        Those to be drawn.
    scores : Scores
        Development's, used where there is no bundle.
    bundle : str, optional
        The frozen bundle's folder, which keeps development's.

    Returns
    -------
    dict of str to tuple of float
        By predictor: lowest and highest. For Model CSD these are ``cs``, the score of Model CS,
        and ``d``, the log odds of Model D's risk; for a clinical model its factors.
    """
    if bundle:
        return {name: (low, high) for name, (low, high) in record.read(bundle)["ranges"].items()}
    if models.combined is None:
        factors = cohort.with_derived(here.read("patients.csv"))
        numbers = [term for term in models.clinical.terms if term in factors]  # no level's term
        return {name: _shown(factors[name].dropna().astype(float)) for name in numbers}
    score = scores.only(model="cs").table["score"]
    risk = scores.only(model="d").table["risk"].clip(1e-6, 1 - 1e-6)
    return {"cs": _shown(score), "d": _shown(np.log(risk / (1 - risk)))}


def nomogram_of(models: Models, ranges: Ranges) -> Nomogram:
    """
    The nomogram of Model CSD, or of the clinical model in its place.

    Parameters
    ----------
    models : Models
        Frozen.
    ranges : dict of str to tuple of float
        As `ranges_of` gives them.

    Returns
    -------
    Nomogram
        Points by predictor, and from total points to the risk.
    """
    if models.combined is None:
        return nomogram(models.clinical.intercept, models.clinical.terms, ranges)
    terms = {"cs": models.combined.cs, "d": models.combined.d}
    return nomogram(models.combined.intercept, terms, ranges)


def _shown(values: pd.Series) -> tuple[float, float]:
    """The ends of a scale: a flag's two values, else percentiles, which are no patient's own."""
    if set(values) <= {0.0, 1.0}:
        return 0.0, 1.0
    low, high = np.percentile(values, _SHOWN)
    return float(low), float(high)


def risk_groups(study: Manifest, here: Folder, *, bundle: str = "") -> pd.DataFrame:
    """
    A centre's patients in long form: everyone, by risk, and by what the study names.

    Parameters
    ----------
    study : Manifest
        Its ``survival_by``.
    here : Folder
        The centre's results.
    bundle : str, optional
        The frozen bundle's folder.

    Returns
    -------
    pandas.DataFrame
        One row a patient and grouping (``all``, ``risk``, or a column; `time_course.grouped`).
        Risk is ``low`` or ``high`` by Model CSD's frozen threshold; there is none without its
        scores, and who has no score is left out there.
    """
    patients = here.read("patients.csv")
    risk = patients["patient_id"].map(_by_risk(here, bundle))
    return time_course.grouped(patients.assign(risk=risk), ["risk", *study.survival_by])


def _by_risk(here: Folder, bundle: str) -> pd.Series:
    """Low or high, of each patient with a risk by Model CSD."""
    path = here.path / "scores.csv"
    if not path.is_file():
        return pd.Series(dtype=object)
    csd = Scores.read(path).only(model="csd").at(None).table
    if csd.empty:
        return pd.Series(dtype=object)
    cut = models_of(here, bundle=bundle).thresholds["csd"]
    return pd.Series(np.where(csd["risk"] >= cut, "high", "low"), index=csd["patient_id"])


def hand_on(content: dict[str, Any], here: Folder, name: str) -> None:
    """
    Nothing; in development the content stands in the folder, for the bundle.

    Parameters
    ----------
    content : dict
        What JSON can hold.
    here : Folder
        The centre's results; a validation centre hands nothing on.
    name : str
        One of development's own files.
    """
    if here.centre == "development":
        here.write_json(content, name)


def freeze(development: Path, folder: Path) -> None:
    """
    Nothing; the frozen bundle stands in a folder, what a reader sees of the training beside it.

    Parameters
    ----------
    development : pathlib.Path
        Development's results: network and radiomics from 03, Models CS and CSD from 04, ranges
        from 05.
    folder : pathlib.Path
        Where the bundle goes; an earlier one there is replaced.
    """
    from hcc_utils.models.bundle import Bundle  # torch: only here

    models, radiomics, ranges = (
        json.loads((development / f"{name}.json").read_text("utf-8"))
        for name in ("models", "radiomics", "ranges")
    )
    patients = results.read_table(development / "patients.csv")
    replace(
        Bundle.read(development),
        **models,
        **radiomics,
        ranges=ranges,
        baseline=case_mix.summary(patients),
    ).write(folder)
    for name in (record.CURVES, record.NOISE, record.SPREAD):
        results.write_table(results.read_table(development / name), folder / name)


def _combined(models: Models) -> CombinedModel:
    """Model CSD, where there is one."""
    if models.combined is None:
        raise checks.InputError(
            "a clinical model alone cannot be applied to another centre in this version; "
            "develop Models CS, D and CSD."
        )
    return models.combined


def _in_order(patients: pd.DataFrame, d: Scores) -> pd.DataFrame:
    """The patients that Model D scored, in the order of its scores."""
    checks.once(patients, ["patient_id"])
    ids = d.table["patient_id"]
    unknown = ids[~ids.isin(patients["patient_id"])]
    if len(unknown):
        raise checks.InputError(
            f"{len(unknown)} scored patient(s) are not in patients.csv, first "
            f"{unknown.iloc[0]!r}; run notebook 03 again."
        )
    return patients.set_index("patient_id").loc[ids].reset_index()


def _outer_folds(
    patients: pd.DataFrame, cs: Scores, d: Scores, inner: pd.DataFrame, endpoint: str
) -> Iterator[tuple[Scores, Scores, Scores, Scores]]:
    """For each outer fold: both models' inner scores, and those of the patients left out."""
    for left_out, rows in inner.groupby("outer_fold"):
        inner_d = Scores(rows.drop(columns="outer_fold").reset_index(drop=True))
        others = _in_order(patients, inner_d)
        inner_cs = clinical.cross_fit(others, inner_d.table["fold"], endpoint)
        yield inner_cs, inner_d, _fold(cs, left_out), _fold(d, left_out)


def _fold(scores: Scores, left_out: object) -> Scores:
    """The scores of one fold."""
    table = scores.table
    return Scores(table[table["fold"] == left_out].reset_index(drop=True))
