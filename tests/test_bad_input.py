"""Every public function of the statistics, given what it must not take.

Each has a valid call below, and each argument of it is damaged in every way that makes sense for
its kind. A damaged call must be refused by InputError, in words that name the argument or the
column. What is not refused but stated is in `STATED`; ties and few events are below.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hcc_utils import evaluation
from hcc_utils.checks import InputError
from hcc_utils.demo import patients as demo
from hcc_utils.evaluation import (
    agreement,
    calibration,
    comparison,
    discrimination,
    horizon,
    reclassification,
    survival,
)
from hcc_utils.models import added, case_mix, clinical, combined, optimism, protocol
from hcc_utils.study import cohort
from hcc_utils.study.scores import Scores

MODULES = (
    *(f"evaluation.{module.name}" for module in pkgutil.iter_modules(evaluation.__path__)),
    *(f"models.{name}" for name in (
        "added", "case_mix", "clinical", "coefficients", "combined", "optimism", "protocol",
        "sample_size",
    )),
    "study.fisher", "study.table_one",
)  # fmt: skip

ELSEWHERE = {
    **dict.fromkeys(
        ("models.case_mix.at_centre", "models.protocol.at_centre", "models.protocol.models_of",
         "models.protocol.ranges_of", "models.protocol.risk_groups", "models.protocol.hand_on",
         "models.protocol.freeze", "models.protocol.nomogram_of", "models.protocol.prespecified"),
        "reads what an earlier stage wrote: test_protocol, test_real_study",
    ),
    **dict.fromkeys(
        ("evaluation.comparison.row", "evaluation.time_course.at", "evaluation.intervals.portions",
         "evaluation.agreement.settled", "evaluation.time_course.codings_at",
         "models.clinical.variables_of", "evaluation.horizon_risks.table",
         "evaluation.influence.of_mean", "evaluation.paper_tables.table_two",
         "evaluation.paper_tables.eight_parameters"),
        "takes what another function of the package gives",
    ),
}  # fmt: skip
"""Public functions whose arguments are not data that somebody types in, and why."""

N = 40
EVENT = np.arange(N) % 3 == 0
RISK = (np.round(np.random.default_rng(1).uniform(0.05, 0.95, N), 2) + EVENT) / 2
OTHER = (np.round(np.random.default_rng(2).uniform(0.05, 0.95, N), 2) + EVENT) / 2
MONTHS = np.round(np.random.default_rng(3).uniform(1, 60, N), 1)
CAUSE = np.where(EVENT, 1, np.where(np.arange(N) % 5 == 0, 2, 0))
GROUP = np.where(np.arange(N) % 2 == 0, "low", "high")
PATIENTS = cohort.eligible(demo.make(60)[0])[0].reset_index(drop=True)
DEVELOPMENT = PATIENTS[PATIENTS["centre"].isin(["hospital_a", "hospital_b"])].reset_index(drop=True)
OUTSIDE = PATIENTS[~PATIENTS["centre"].isin(["hospital_a", "hospital_b"])].reset_index(drop=True)
OUTCOME, LAST = "aggressive_pd", "months_to_aggressive_pd"
NAMES = ["diameter_mm", "cirrhosis", "capsule"]
FOLD = np.arange(len(DEVELOPMENT)) % 3
fitted = partial(clinical.fit, candidates=NAMES)


def scores(model: str, origin: str, patients: pd.DataFrame = DEVELOPMENT, **more: Any) -> Scores:
    """Scores that know a little of the outcome."""
    rng = np.random.default_rng(len(model))
    risk = (rng.uniform(0.1, 0.9, len(patients)) + patients[OUTCOME].to_numpy(bool)) / 2
    fold = np.arange(len(patients)) % 3
    given = {"score": risk, "risk": risk, "fold": fold} | more
    return Scores.of(patients, model=model, origin=origin, **given)


def replaced(values: Any, value: Any) -> np.ndarray:
    """The values with another in the first row."""
    changed = np.array(values, dtype=object)
    changed[0] = value
    return changed


# ---- what is done to an argument, by its kind: the damage's name and the damaged value

Damage = Iterator[tuple[str, Any]]


def numbers(values: np.ndarray) -> Damage:
    yield "missing", replaced(values, np.nan)
    yield "infinite", replaced(values, np.inf)
    yield "words", np.full(len(values), "high")
    yield "numbers as words", values.astype(str)
    yield "one fewer", values[:-1]
    yield "nobody", values[:0]
    yield "two columns", np.column_stack([values, values])


def sample(values: np.ndarray) -> Damage:
    """Values that stand alone, of which some may be missing."""
    allowed = ("missing", "one fewer")
    yield from ((what, bad) for what, bad in numbers(values) if what not in allowed)


def times(values: np.ndarray) -> Damage:
    yield from numbers(values)
    yield "negative", replaced(values, -5.0)


def risks(values: np.ndarray) -> Damage:
    yield from numbers(values)
    yield "above 1", replaced(values, 1.4)
    yield "below 0", replaced(values, -0.1)


def causes(values: np.ndarray) -> Damage:
    yield from numbers(values)
    yield "neither", replaced(values, 3)


def any_events(values: np.ndarray) -> Damage:
    yield from ((what, bad) for what, bad in causes(values) if what != "numbers as words")


def events(values: np.ndarray) -> Damage:
    yield from any_events(values)
    yield "no event", np.zeros(len(values), dtype=bool)
    yield "events alone", np.ones(len(values), dtype=bool)


def groups(values: np.ndarray) -> Damage:
    yield "missing", replaced(values, np.nan)
    yield "one fewer", values[:-1]


def share(_: float) -> Damage:
    """A number strictly between 0 and 1."""
    yield from (("0", 0.0), ("1", 1.0), ("percent", 95), ("missing", np.nan), ("word", "95 %"))


def number(_: float) -> Damage:
    yield from (("missing", np.nan), ("infinite", np.inf), ("word", "much"))


def month(_: float) -> Damage:
    yield from number(_)
    yield "negative", -1


def many(least: int) -> Callable[[int], Damage]:
    """A whole number of at least so many."""

    def damaged(_: int) -> Damage:
        yield from (("too few", least - 1), ("half", least + 0.5), ("missing", np.nan))

    return damaged


def cuts(_: list[float]) -> Damage:
    yield from (("1", [1.0]), ("beyond", [1.2]), ("missing", [np.nan]), ("words", ["a"]))
    yield from (("none", []), ("no list", 0.3))


def name(_: str) -> Damage:
    yield from (("misspelt", "aggressive_dp"), ("no name", 3))


def names(_: list[str]) -> Damage:
    yield "misspelt", ["diamter_mm"]


def candidates(_: list[str]) -> Damage:
    yield from names(_)
    yield "outcome itself", [OUTCOME]


def counts(_: Any) -> Damage:
    yield from (
        ("negative", [[-1, 2], [3, 4]]), ("half", [[0.5, 2], [3, 4]]), ("one row", [1, 2]),
        ("missing", [[np.nan, 2], [3, 4]]), ("words", [["a", "b"], ["c", "d"]]), ("none", []),
        ("infinite", [[np.inf, 2], [3, 4]]), ("ragged", [[1, 2], [3]]),
    )  # fmt: skip


def fold(values: np.ndarray) -> Damage:
    yield "one alone", np.zeros(len(values))
    yield "one fewer", values[:-1]
    yield "missing", replaced(values, np.nan)


def ratings(values: np.ndarray) -> Damage:
    yield "missing", np.vstack([replaced(values[:1], np.nan), values[1:]])
    yield "one reader", values[:, :1]
    yield "nobody", values[:0]


def readings(values: np.ndarray) -> Damage:
    yield from ratings(values)
    yield "words", np.full(values.shape, "high")
    yield "infinite", np.vstack([values[:1] * np.inf, values[1:]])
    yield "one patient", values[:1]


COLUMN_DAMAGE: dict[str, tuple[str, Callable[[pd.Series], Any]]] = {
    "outcome missing": (OUTCOME, lambda v: replaced(v, np.nan)),
    "outcome in words": (OUTCOME, lambda v: np.where(v, "yes", "no")),
    "outcome neither": (OUTCOME, lambda v: replaced(v, 2)),
    "no event": (OUTCOME, lambda v: False),
    "number infinite": ("diameter_mm", lambda v: replaced(v, np.inf)),
    "number in words": ("diameter_mm", lambda v: "large"),
    "flag neither": ("cirrhosis", lambda v: replaced(v, 2)),
    "level unknown": ("capsule", lambda v: replaced(v, "torn")),
    "month missing": (LAST, lambda v: replaced(v, np.nan)),
    "month infinite": (LAST, lambda v: replaced(v, np.inf)),
    "month negative": (LAST, lambda v: -v),
    "month in words": (LAST, lambda v: "late"),
    "death in words": ("death", lambda v: "yes"),
    "death month in words": ("months_to_death", lambda v: "late"),
    "reading infinite": ("enhancement_ratio_r1", lambda v: replaced(v, np.inf)),
    "reading unknown": ("capsule_r1", lambda v: replaced(v, "torn")),
    "stage unknown": ("bclc", lambda v: replaced(v, "E")),
}
OUTCOMES = ("outcome missing", "outcome in words", "outcome neither")
FACTORS = ("number infinite", "number in words", "flag neither", "level unknown")
IN_TIME = (*OUTCOMES, "month missing", "month infinite", "month negative", "month in words",
           "death in words")  # fmt: skip
READ = ("reading infinite", "reading unknown")


def table(*which: str, twice: bool = True, without: str = "") -> Callable[[pd.DataFrame], Damage]:
    """A table of patients, damaged in some of its columns."""

    def damaged(patients: pd.DataFrame) -> Damage:
        for what in which:
            column, change = COLUMN_DAMAGE[what]
            yield what, patients.assign(**{column: change(patients[column])})
        yield "no table", patients.to_numpy()
        if twice:
            yield "patient twice", pd.concat([patients, patients.iloc[:1]], ignore_index=True)
        if without:
            yield "column missing", patients.drop(columns=[without])

    return damaged


def origins(*wrong: str) -> Callable[[Scores], Damage]:
    """Scores of other origins, of nobody, or of patients who differ."""

    def damaged(given: Scores) -> Damage:
        yield "nobody", Scores(given.table.iloc[:0])
        for origin in wrong:
            yield origin, Scores(given.table.assign(origin=origin))

    return damaged


def both(given: Scores) -> Damage:
    """Scores of two models that must fit together."""
    yield "another origin", Scores(given.table.assign(origin="apparent"))
    yield "another outcome", Scores(given.table.assign(event=~given.table["event"]))
    yield "a patient fewer", Scores(given.table.iloc[1:].reset_index(drop=True))
    yield "no event", Scores(given.table.assign(event=False))


COMPARED = scores("cs", "external", OUTSIDE) + scores("csd", "external", OUTSIDE)
CS, D = scores("cs", "out_of_fold"), scores("d", "out_of_fold")
MODELS = protocol.Models(clinical=fitted(DEVELOPMENT), combined=combined.fit(CS, D), thresholds={})
GAP = scores("cs", "external") + scores("cs", "external", protocol="as_published")
COVARIATES = pd.DataFrame({"risk": RISK})


def covariates(given: pd.DataFrame) -> Damage:
    yield "missing", given.assign(risk=replaced(RISK, np.nan))
    yield "words", given.assign(risk="high")
    yield "one fewer", given.iloc[:-1]
    yield "no column", given[[]]
    yield "no table", given.to_numpy()


def one_way(given: dict[str, Any]) -> Damage:
    """A mapping with one value damaged."""
    key = next(iter(given))
    yield from ((what, {**given, key: bad}) for what, bad in number(0.0))


def ends(given: dict[str, Any]) -> Damage:
    yield from (("none", {}), ("falling", {"age_years": (80, 20)}))
    yield from (("three", {"age_years": (1, 2, 3)}), ("words", {"age_years": ("a", "b")}))


def each(of: Callable[[pd.DataFrame], Damage]) -> Callable[[dict[str, pd.DataFrame]], Damage]:
    """Tables by name, one of them damaged."""

    def damaged(given: dict[str, pd.DataFrame]) -> Damage:
        yield from ((what, {"all": bad}) for what, bad in of(given["all"]))

    return damaged


def pair(_: Any) -> Damage:
    yield from (("one", [1.0]), ("words", ["a", "b"]), ("infinite", [np.inf, 1.0]))


def spreads(_: Any) -> Damage:
    yield from pair(_)
    yield "negative", [-1.0, 2.0]


LEVEL = (0.95, share)
FEW = (5, many(1))
TIMED = (DEVELOPMENT, table(*IN_TIME, without=LAST))
USED = (DEVELOPMENT, table(*OUTCOMES, "no event", *FACTORS, twice=False, without=OUTCOME))
OF_OUTCOME = (OUTCOME, name)
OF_NAMES = (NAMES, candidates)
SAME = {"event": (EVENT, events), "score": (RISK, numbers)}
SAFE = {"event": (EVENT, events), "risk": (RISK, risks)}
LOOSE = {"event": (EVENT, any_events), "risk": (RISK, risks)}
PAIR = {"event": (EVENT, events), "risk_old": (RISK, risks), "risk_new": (OTHER, risks)}
SURVIVAL = {"time": (MONTHS, times), "event": (EVENT, any_events), "group": (GROUP, groups)}
CENSORED = {
    "months": (MONTHS, times), "cause": (CAUSE, causes), "horizon_months": (24, month),
}  # fmt: skip
TOLD = {"scores": (COMPARED, origins("apparent", "tuned", "demonstration"))}
SEED = {"seed": (1, lambda _: iter(()))}
FITTED = {"fitted": (fitted, lambda _: iter(()))}

Argument = tuple[Any, Callable[[Any], Damage]]
CALLS: dict[str, dict[str, Argument]] = {
    "evaluation.agreement.icc": {
        "ratings": (np.column_stack([RISK, OTHER]), readings), "level": LEVEL},
    "evaluation.agreement.kappa": {
        "ratings": (np.column_stack([GROUP, np.roll(GROUP, 3)]), ratings), "level": LEVEL,
        "weights": (None, lambda _: iter([("unknown", "cubic"), ("words", "linear")]))},
    "evaluation.agreement.readers": {"patients": (DEVELOPMENT, table(*READ))},
    "evaluation.agreement.bland_altman": {"patients": (DEVELOPMENT, table(*READ))},
    "evaluation.agreement.differences": {"patients": (DEVELOPMENT, table(*READ))},
    "evaluation.agreement.adjudication": {"patients": (DEVELOPMENT, table(*READ))},
    "evaluation.agreement.rank_correlation": {
        "patients": (DEVELOPMENT, table("stage unknown")), "second": ("bclc", name)},
    "evaluation.calibration.calibration": {**SAFE, "level": LEVEL},
    "evaluation.calibration.influence": SAFE,
    "evaluation.calibration.curve": {**LOOSE, "level": LEVEL},
    "evaluation.calibration.smooth": {**SAFE, "level": LEVEL, "resamples": (2, many(0))},
    "evaluation.calibration.hosmer_lemeshow": {**SAFE, "groups": (10, many(3))},
    "evaluation.comparison.compare": {
        **TOLD, "thresholds": ({"cs": 0.3}, lambda _: iter([
            ("no model", {"xx": 0.3}), ("beyond", {"cs": 1.2}), ("missing", {"cs": np.nan})]))},
    "evaluation.comparison.reclassification_table": TOLD,
    "evaluation.comparison.roc_table": TOLD,
    "evaluation.comparison.calibration_table": TOLD,
    "evaluation.comparison.smooth_table": {**TOLD, "resamples": (2, many(0))},
    "evaluation.comparison.decision_table": TOLD,
    "evaluation.comparison.threshold_table": TOLD,
    "evaluation.comparison.pairs": {**TOLD, "use": ("compare", lambda _: iter(()))},
    "evaluation.decision_curve.net_benefit": {**LOOSE, "thresholds": ([0.3], cuts)},
    "evaluation.decision_curve.gains": {**LOOSE, "threshold": (0.3, share)},
    "evaluation.decision_curve.threshold_counts": {**LOOSE, "thresholds": ([0.3], cuts)},
    "evaluation.discrimination.auc": {**SAME, "level": LEVEL},
    "evaluation.discrimination.placements": SAME,
    "evaluation.discrimination.bootstrapped_auc": {**SAME, "level": LEVEL, "resamples": FEW},
    "evaluation.discrimination.delong_paired": {
        "event": (EVENT, events), "score_a": (RISK, numbers), "score_b": (OTHER, numbers),
        "level": LEVEL},
    "evaluation.discrimination.delong_unpaired": {
        "event_a": (EVENT, events), "score_a": (RISK, numbers), "event_b": (EVENT, events),
        "score_b": (OTHER, numbers), "level": LEVEL},
    "evaluation.discrimination.youden": {"event": (EVENT, events), "risk": (RISK, numbers)},
    "evaluation.discrimination.operating_point": {
        "event": (EVENT, events), "risk": (RISK, numbers), "threshold": (0.3, number)},
    "evaluation.discrimination.roc_curve": SAME,
    "evaluation.follow_up.length": {"patients": TIMED, "endpoint": OF_OUTCOME},
    "evaluation.follow_up.short": {
        "eligible": TIMED, "kept": (DEVELOPMENT, table(without="patient_id")),
        "endpoint": OF_OUTCOME, "months": (12, month)},
    "evaluation.follow_up.event_fractions": {
        "groups": ({"all": DEVELOPMENT}, each(table(*IN_TIME, without=LAST))),
        "endpoint": OF_OUTCOME,
        "horizons_months": ([12], lambda _: ((what, [bad]) for what, bad in month(12)))},
    "evaluation.gap.gap": {"scores": (GAP, origins("demonstration"))},
    "evaluation.horizon.codings": {
        "patients": (DEVELOPMENT, table(*IN_TIME, "death month in words", without=LAST)),
        "outcome": OF_OUTCOME},
    "evaluation.horizon.status_at": {
        "patients": (DEVELOPMENT, table(*IN_TIME, "death month in words", without=LAST)),
        "outcome": OF_OUTCOME, "horizon_months": (12, month)},
    "evaluation.horizon.auc_at": {
        "months": (MONTHS, times), "cause": (CAUSE, causes), "risk": (RISK, numbers),
        "horizon_months": (24, month), "level": LEVEL, "resamples": FEW, **SEED},
    "evaluation.horizon.weights": CENSORED,
    "evaluation.horizon.followed_through": CENSORED,
    "evaluation.horizon.brier_at": {
        **CENSORED, "risk": (RISK, risks), "level": LEVEL, "resamples": FEW, **SEED},
    "evaluation.influence.of_auc": SAME,
    "evaluation.influence.of_class_means": {
        "event": (EVENT, events), "values": (RISK, lambda _: iter(()))},
    "evaluation.intervals.quantile": {"level": LEVEL},
    "evaluation.intervals.wald": {
        "estimate": (0.1, lambda _: iter(())), "se": (0.1, lambda _: iter([("negative", -1.0)])),
        "level": LEVEL},
    "evaluation.intervals.wilson": {
        "count": ([3], lambda _: iter([("more", [11]), ("negative", [-1]), ("words", ["a"])])),
        "of": ([10], lambda _: iter([("negative", [-1]), ("words", ["a"])])), "level": LEVEL},
    "evaluation.intervals.bootstrapped_mean": {
        "values": (RISK, sample), "level": LEVEL, "resamples": FEW, **SEED},
    "evaluation.intervals.bootstrapped_sd": {
        "values": (RISK, sample), "level": LEVEL, "resamples": FEW, **SEED},
    "evaluation.intervals.resampled_means": {"values": (RISK, sample), "resamples": FEW, **SEED},
    "evaluation.intervals.ends": {"estimates": (RISK, lambda _: iter(())), "level": LEVEL},
    "evaluation.nomogram.nomogram": {
        "intercept": (-1.0, number), "terms": ({"age_years": 0.1, "cirrhosis": 0.5}, one_way),
        "ranges": ({"age_years": (20, 80)}, ends)},
    "evaluation.reclassification.nri": {**PAIR, "categories": ([0.3], cuts), "level": LEVEL},
    "evaluation.reclassification.idi": {**PAIR, "level": LEVEL},
    "evaluation.reclassification.summary": {
        **PAIR, "categories": ([0.3], cuts), "level": LEVEL, "resamples": FEW},
    "evaluation.separation.separates": {
        "contrasts": (np.column_stack([RISK, OTHER]),
                      lambda v: iter([("missing", v * np.nan), ("words", v.astype(str))]))},
    "evaluation.subgroups.subgroups": {**TOLD, "patients": (OUTSIDE, table(without="patient_id"))},
    "evaluation.survival.kaplan_meier": {**SURVIVAL, "level": LEVEL},
    "evaluation.survival.median": {**SURVIVAL, "level": LEVEL},
    "evaluation.survival.logrank": SURVIVAL,
    "evaluation.survival.cox": {
        "time": (MONTHS, times), "event": (EVENT, any_events),
        "covariates": (COVARIATES, covariates)},
    "evaluation.survival.cumulative_incidence": {
        "time": (MONTHS, times), "cause": (CAUSE, causes), "group": (GROUP, groups),
        "level": LEVEL},
    "evaluation.survival.cause_from": {"patients": TIMED, "outcome": OF_OUTCOME},
    "evaluation.time_course.grouped": {
        "patients": (DEVELOPMENT, table("stage unknown")), "by": (["bclc"], lambda _: iter(()))},
    "evaluation.time_course.time_course": {
        "patients": (DEVELOPMENT.assign(grouping="all", group="all"), table(*IN_TIME)),
        "endpoint": OF_OUTCOME},
    "evaluation.time_course.censoring": {
        "patients": (DEVELOPMENT, table(*OUTCOMES, "month in words", "death in words",
                                        "death month in words", without=LAST)),
        "endpoint": OF_OUTCOME},
    "evaluation.time_course.codings": {"patients": TIMED, "endpoint": OF_OUTCOME},
    "models.added.likelihood_ratio": {**TOLD, "permutations": FEW},
    "models.case_mix.summary": {"patients": (DEVELOPMENT, table(*FACTORS))},
    "models.case_mix.differences": {
        "development": (case_mix.summary(DEVELOPMENT), lambda _: iter(())),
        "patients": (OUTSIDE, table(*FACTORS))},
    "models.case_mix.distance": {
        "development": (case_mix.summary(DEVELOPMENT), lambda _: iter(())),
        "patients": (OUTSIDE, table(*FACTORS))},
    "models.case_mix.membership": {
        "development": (DEVELOPMENT[["patient_id", "centre", *NAMES]],
                        table(*FACTORS, without="centre")),
        "patients": (OUTSIDE[["patient_id", "centre", *NAMES]],
                     table(*FACTORS, without="patient_id")), **SEED},
    "models.clinical.published_score": {
        "patients": (DEVELOPMENT, table(*FACTORS, twice=False, without="capsule"))},
    "models.clinical.screen": {"patients": USED, "outcome": OF_OUTCOME, "candidates": OF_NAMES},
    "models.clinical.step_aic": {
        "patients": USED, "outcome": OF_OUTCOME, "candidates": OF_NAMES,
        "direction": ("both", lambda _: iter([("unknown", "up")]))},
    "models.clinical.fit": {
        "patients": USED, "outcome": OF_OUTCOME, "candidates": OF_NAMES, "p_below": (0.1, month)},
    "models.clinical.candidates_in": {"patients": (DEVELOPMENT, table(twice=False))},
    "models.clinical.cross_fit": {
        "patients": (DEVELOPMENT, table(*OUTCOMES, "no event", *FACTORS, without=OUTCOME)),
        "fold": (FOLD, fold), "outcome": OF_OUTCOME, "candidates": OF_NAMES},
    "models.clinical.left_out_scores": {
        "patients": (DEVELOPMENT, table()), "fold": (FOLD, fold), **FITTED},
    "models.clinical.design": {
        "patients": (DEVELOPMENT, table("number in words", twice=False, without="capsule")),
        "variables": (NAMES, names)},
    "models.coefficients.beside": {
        "model": (fitted(DEVELOPMENT, p_below=2), lambda _: iter(())),
        "patients": (DEVELOPMENT, table(*OUTCOMES, "no event", "number infinite",
                                        without=OUTCOME)),
        "outcome": OF_OUTCOME, "level": LEVEL},
    "models.combined.log_odds": {
        "name": ("risk", lambda _: iter(())), "values": (RISK, lambda v: (
            (what, bad) for what, bad in risks(v) if what not in ("one fewer", "nobody")))},
    "models.combined.recalibrated": {"d": (D, origins("apparent", "external"))},
    "models.combined.fit": {"cs": (CS, both), "d": (D, both)},
    "models.combined.threshold": {"scores": (D, origins("apparent", "external"))},
    "models.combined.nested": {
        "parts": ([(CS, D, scores("cs", "out_of_fold", OUTSIDE),
                    scores("d", "out_of_fold", OUTSIDE))] * 1, lambda _: iter(()))},
    "models.combined.as_published": {
        "cs": ({"development": scores("cs", "apparent")},
               lambda _: iter([("out of fold", {"development": CS})])),
        "d": ({"development": scores("d", "apparent")},
              lambda _: iter([("another outcome", {"development": Scores(
                  scores("d", "apparent").table.assign(event=True))})]))},
    "models.optimism.bootstrapped": {
        "patients": (DEVELOPMENT, table(*OUTCOMES, "no event", *FACTORS, without=OUTCOME)),
        "outcome": OF_OUTCOME, **FITTED, "candidates": (NAMES, lambda _: iter(())),
        "resamples": (2, many(1)),
        "level": LEVEL, **SEED},
    "models.optimism.resampled": {
        "patients": (DEVELOPMENT, table(*OUTCOMES, "no event", without=OUTCOME)),
        "outcome": OF_OUTCOME, **FITTED,
        "drawn": ([np.arange(len(DEVELOPMENT))], lambda _: iter(()))},
    "models.optimism.enough": {"event": (EVENT, lambda v: (
        (what, bad) for what, bad in any_events(v) if what not in ("one fewer", "nobody")))},
    "models.optimism.figures": SAME,
    "models.optimism.instability": {
        "risk": (RISK, risks), "resampled": (np.tile(RISK, (3, 1)), lambda v: iter([
            ("missing", v * np.nan), ("a patient fewer", v[:, 1:]), ("none", v[:0])]))},
    "models.protocol.develop": {
        "patients": (DEVELOPMENT, table(without=OUTCOME)),
        "d": (D, origins("external", "apparent")),
        "inner": (pd.DataFrame(), lambda _: iter(())), "endpoint": OF_OUTCOME},
    "models.protocol.apply": {
        "models": (MODELS, lambda _: iter(())),
        "patients": (OUTSIDE, table("outcome missing", without=OUTCOME)),
        "d": (scores("d", "external", OUTSIDE), origins("out_of_fold", "apparent")),
        "endpoint": OF_OUTCOME},
    "models.sample_size.riley": {
        "parameters": (9, many(1)), "prevalence": (0.3, share), "r_squared": (0.1, share),
        "shrinkage": (0.9, share)},
    "models.sample_size.of_study": {
        "patients": (DEVELOPMENT, table(*OUTCOMES, "no event", *FACTORS, without=OUTCOME)),
        "outcome": OF_OUTCOME, "candidates": (NAMES, names)},
    "study.fisher.p_value": {"counts": ([[3, 4], [5, 6]], counts)},
    "study.table_one.table_one": {
        "patients": (DEVELOPMENT, table(*FACTORS, without="centre")), "by": ("centre", name),
        "columns": (NAMES, names),
        "tests": (None, lambda _: iter([("no variable", {"xx": "rank-sum"}),
                                        ("no test", {"capsule": "rank-sum"})]))},
    "study.table_one.tables_one": {
        "patients": (DEVELOPMENT, table(*FACTORS, without="centre")),
        "groupings": (["centre"], lambda _: iter([("none", []), ("misspelt", ["center"])]))},
    "study.table_one.groupings": {
        "patients": (DEVELOPMENT, table(twice=False, without="centre")), "endpoint": OF_OUTCOME},
    "study.table_one.smd_of_means": {
        "means": ([1.0, 2.0], pair), "variances": ([1.0, 2.0], spreads)},
    "study.table_one.smd_of_counts": {"counts": (np.array([[3, 4], [5, 6]]), counts)},
    "study.table_one.with_bands": {"patients": (DEVELOPMENT, table(twice=False))},
}  # fmt: skip

STATED = {
    ("evaluation.gap.gap", "scores", "nobody"): lambda found: found.empty,
    ("models.clinical.screen", "patients", "outcome missing"): lambda found: (
        set(found["n"]) == {len(DEVELOPMENT) - 1}
    ),
    ("models.clinical.screen", "patients", "no event"): lambda found: (
        set(found["note"]) == {"constant"}
    ),
    ("models.clinical.step_aic", "patients", "outcome missing"): lambda found: (
        found.n == len(DEVELOPMENT) - 1
    ),
}
"""Damage that is not refused but stated: who was left out, or why there is no test."""


def public() -> set[str]:
    """Every public function of these modules."""
    found = set()
    for module in MODULES:
        room = importlib.import_module(f"hcc_utils.{module}")
        found |= {
            f"{module}.{known}"
            for known, one in vars(room).items()
            if inspect.isfunction(one) and one.__module__ == room.__name__ and known[0] != "_"
        }
    return found


def called(function: str, **arguments: Any) -> Any:
    """What the function gives."""
    module, _, known = function.rpartition(".")
    found = getattr(importlib.import_module(f"hcc_utils.{module}"), known)
    given = inspect.signature(found).parameters
    # those that may not be named are given in their order
    return found(**{name: arguments[name] for name in given if name in arguments})


def valid(function: str) -> dict[str, Any]:
    return {argument: value for argument, (value, _) in CALLS[function].items()}


def damages() -> list[Any]:
    return [
        pytest.param(function, argument, what, bad, id=f"{function}-{argument}-{what}")
        for function, arguments in CALLS.items()
        for argument, (value, damaged) in arguments.items()
        for what, bad in damaged(value)
    ]


def test_every_public_function_is_here():
    """A new one needs a valid call in `CALLS`, or a reason in `ELSEWHERE`."""
    assert public() == set(CALLS) | set(ELSEWHERE)
    assert not set(CALLS) & set(ELSEWHERE)


@pytest.mark.parametrize("function", [f for f in CALLS if f != "models.combined.nested"])
def test_sound_input_is_taken(function):
    called(function, **valid(function))


@pytest.mark.parametrize(("function", "argument", "what", "bad"), damages())
def test_bad_input_is_refused_in_words(function, argument, what, bad):
    given = valid(function) | {argument: bad}
    if stated := STATED.get((function, argument, what)):
        assert stated(called(function, **given))
        return
    with pytest.raises(InputError, match=r"\w+ .*"):
        called(function, **given)


TIED = np.full(N, 0.4)
SAME_READING = np.full((N, 2), 0.4)
HANDS: dict[str, Callable[[], bool]] = {
    # all pairs are ties, and each counts half
    "auc": lambda: discrimination.auc(EVENT, TIED).auc == 0.5,
    "resampled auc": lambda: discrimination.bootstrapped_auc(EVENT, TIED, resamples=3)
    == (0.5, 0.5),
    "auc by 24 months": lambda: horizon.auc_at(
        MONTHS, CAUSE, TIED, 24, resamples=3, seed=1
    ).auc == pytest.approx(0.5),
    "one score twice": lambda: discrimination.delong_paired(EVENT, RISK, RISK).p_value == 1,
    "cut": lambda: discrimination.youden(EVENT, TIED) == 0.4,  # the one score there is
    "slope": lambda: calibration.calibration(EVENT, TIED).note == "constant_risk",
    # loess of one risk is the share of events, 14 of 40
    "curve": lambda: calibration.smooth(EVENT, TIED, resamples=0).curve["observed"].tolist()
    == pytest.approx([14 / 40] * 51),
    "groups of risk": lambda: np.isnan(calibration.hosmer_lemeshow(EVENT, TIED).p_value),
    "nri": lambda: reclassification.nri(EVENT, RISK, RISK).nri == 0,
    "idi": lambda: reclassification.idi(EVENT, RISK, RISK).idi == 0,
    "readings": lambda: agreement.icc(SAME_READING)["icc"].isna().all(),
    "kappa": lambda: np.isnan(agreement.kappa(SAME_READING).kappa),
    "covariate": lambda: "constant" in survival.cox(MONTHS, EVENT, COVARIATES * 0)["note"].item(),
    "candidate": lambda: clinical.screen(
        DEVELOPMENT.assign(diameter_mm=30.0), OUTCOME, ["diameter_mm"]
    )["note"].item() == "constant",
}  # fmt: skip


@pytest.mark.parametrize("of", HANDS)
def test_tied_everything_is_known_by_hand_or_said(of):
    assert HANDS[of]()


FEW_EVENTS = DEVELOPMENT.assign(**{OUTCOME: np.arange(len(DEVELOPMENT)) < 6})


def test_fewer_than_ten_events_are_marked_and_never_tested():
    few = scores("cs", "external", FEW_EVENTS) + scores("csd", "external", FEW_EVENTS)
    for found in (comparison.compare(few), added.likelihood_ratio(few, permutations=3)):
        assert found["note"].str.contains("too_few_events").all()
        assert found["p_value"].isna().all()
    model = fitted(FEW_EVENTS)
    assert "only 6 events" in model.note
    assert model.standard_errors == {}


def test_fewer_than_ten_events_are_not_bootstrapped():
    with pytest.raises(InputError, match="at least 10 events"):
        optimism.bootstrapped(FEW_EVENTS, OUTCOME, fitted, resamples=2, seed=1)


def test_one_class_has_rows_without_an_estimate():
    found = comparison.compare(scores("cs", "external", DEVELOPMENT.assign(**{OUTCOME: False})))
    assert set(found["note"]) == {"one_class"}
    assert found["estimate"].isna().all()
