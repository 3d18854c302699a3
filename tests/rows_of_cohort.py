"""What R finds in a cohort: tests of Table 1, readers, regression, selection, optimism.

R's values: oracles/cohort.json, made by cohort.R (R 4.2.2, MASS 7.3.58.2, brglm2 0.9, psych 2.2.9,
vcd 1.4.11, pROC 1.18.0), in 40 patients with a factor that only those with the event have, 300 with
ties and missing values, and 20 000; oracles/clinical.json and table_one.json, the paths and the
tables that are hard.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import test_clinical
import test_table_one
from oracle_patients import read, whole_numbers
from rows import EXACT, ITERATED, SAME, Row

from hcc_utils.evaluation import agreement
from hcc_utils.models import clinical, logistic, optimism
from hcc_utils.study import fisher
from hcc_utils.study.table_one import table_one

R = read("cohort.json")
SEEDS = {"40": 20241101, "300": 20241102, "20000": 20241103}
CAPSULES = np.array(["absent", "non_intact", "intact"])
CANDIDATES = [
    *("age_years", "diameter_mm", "capsule", "lobe", "cirrhosis", "mosaic"),
    *("nodule_in_nodule", "neutrophil_to_lymphocyte"),
]

SETS = {
    "paper": "236",
    "small": "60",
    "holes": "120 with gaps",
    "returns": "60 of correlated numbers",
    "ties": "80 with equal steps",
}
"""The patients of clinical.R, in words."""


def patients(n: int, seed: int) -> pd.DataFrame:
    """The rule of the same name in cohort.R."""
    x = whole_numbers(n, 24, seed)
    capsule = x[:, 0] % 3

    def reading(k: int) -> np.ndarray:
        return CAPSULES[np.where(x[:, k] % 20 < 15, capsule, x[:, k] // 20 % 3)]

    table = pd.DataFrame(
        {
            "centre": np.array(["a", "b", "c"])[x[:, 1] % 3],
            "sex": np.where(x[:, 2] % 4 == 0, "female", "male"),
            "age_years": 40.0 + x[:, 3] % 21 + x[:, 4] % 21,
            "diameter_mm": 10.0 + x[:, 5] % 120,
            "capsule": CAPSULES[capsule],
            "lobe": np.array(["left", "right", "cross"])[x[:, 6] % 3],
            "hbv": x[:, 7] % 100 < 94,
            "cirrhosis": x[:, 8] % 10 < 6,
            "mosaic": x[:, 9] % 10 < 4,
            "nodule_in_nodule": x[:, 10] % 10 < 3,
            "child_pugh": np.array(["A", "B", "C"])[np.digitize(x[:, 11] % 20, [14, 18])],
            "neutrophil_to_lymphocyte": (100 + x[:, 12] % 300) / 100,
            "ratio_r1": (100 + x[:, 13] % 100 + x[:, 14] % 31) / 100,
            "ratio_r2": (105 + x[:, 13] % 100 + x[:, 15] % 31) / 100,
            "ratio_r3": (100 + x[:, 13] % 100 + x[:, 16] % 31) / 100,
        }
        | {f"capsule_r{reader}": reading(16 + reader) for reader in (1, 2, 3)}
    )
    chance = 20 + table["diameter_mm"] + 60 * table["cirrhosis"] - 50 * (capsule == 2)
    table["aggressive_pd"] = x[:, 20] % 400 < chance + 60 * table["nodule_in_nodule"]
    flags = ["hbv", "cirrhosis", "mosaic", "nodule_in_nodule", "aggressive_pd"]
    table[flags] = table[flags].astype("boolean")
    if n == 40:
        table["mosaic"] &= table["aggressive_pd"]
    if n == 300:
        table.loc[x[:, 21] % 25 == 0, "age_years"] = None
        table.loc[x[:, 22] % 30 == 0, "capsule"] = None
        table.loc[x[:, 23] % 20 == 0, "mosaic"] = None
        table.loc[x[:, 21] % 17 == 0, "ratio_r1"] = None
        table.loc[x[:, 22] % 17 == 0, "capsule_r2"] = None
    return table


def rows() -> Iterator[Row]:
    """All of them."""
    for n, seed in SEEDS.items():
        table, theirs = patients(int(n), seed), R[n]
        complete = table[["aggressive_pd", *CANDIDATES]].dropna().reset_index(drop=True)
        yield "patients, events", n, table["aggressive_pd"].sum(), theirs["events"], SAME
        yield "patients, complete", n, len(complete), theirs["complete"], SAME
        yield from _tests(n, table, theirs["tests"])
        yield from _readers(n, table, theirs["agreement"])
        yield from _regression(n, complete, theirs["regression"])
        for run in theirs["paths"]:
            yield from _path(n, complete, run)
        if "firth" in theirs:
            yield from _firth(n, complete, theirs["firth"])
        if "optimism" in theirs:
            yield from _optimism(n, complete, theirs["optimism"])
    yield from _of_clinical()
    for name, case in test_table_one.ORACLE["fisher"].items():
        shape = name.replace("_", " ")
        yield (
            "Fisher's exact, p_value",
            shape,
            fisher.p_value(case["counts"]),
            case["p_value"],
            EXACT,
        )


def _tests(n: str, table: pd.DataFrame, theirs: list[dict[str, Any]]) -> Iterator[Row]:
    """Each test of Table 1, of two groups and of three."""
    for case in theirs:
        name, test = case["variable"], case["test"]
        ours = table_one(table, case["by"], [name], {name: test}).iloc[1]
        assert ours["test"] == test
        for figure, value in case["found"].items():
            yield f"{test}, {figure}", n, ours[figure], value, EXACT


def _readers(n: str, table: pd.DataFrame, theirs: dict[str, Any]) -> Iterator[Row]:
    """Three readers of a number and of levels, two of them by kappa."""
    if theirs["icc"]:  # psych makes a column a patient: of 20 000 it cannot
        icc = agreement.icc(table[["ratio_r1", "ratio_r2", "ratio_r3"]].dropna())
        for name, key in (("icc", "icc"), ("low", "icc_low"), ("high", "icc_high")):
            yield f"ICC (1; 2; 3), {name}", n, icc[name], theirs[key], EXACT
    two = table[["capsule_r1", "capsule_r2"]].dropna()
    for name, weights in (("plain", None), ("linear", "linear"), ("quadratic", "quadratic")):
        ours = agreement.kappa(two, weights, levels=list(CAPSULES))
        for place, figure in enumerate(("kappa", "se")):
            value = theirs[name][place]
            yield f"kappa ({name}), {figure}", n, getattr(ours, figure), value, EXACT
    three = table[["capsule_r1", "capsule_r2", "capsule_r3"]].dropna()
    fleiss = agreement._fleiss(three, list(CAPSULES))  # the vocabulary has two readers of a capsule
    yield "kappa (Fleiss), kappa", n, fleiss, theirs["fleiss"], EXACT


def _regression(n: str, complete: pd.DataFrame, theirs: dict[str, Any]) -> Iterator[Row]:
    """A logistic model of factors named beforehand, and its intervals by profile likelihood."""
    terms, design = clinical.design(complete, theirs["names"])
    assert ["(Intercept)", *map(test_clinical.r_name, terms)] == [
        term.removesuffix("TRUE") for term in theirs["terms"]
    ]
    event = complete["aggressive_pd"].to_numpy(dtype=bool)
    fitted = logistic.maximum_likelihood(design, event)
    yield "glm, coefficients", n, fitted.coefficients, theirs["coefficients"], ITERATED
    yield "glm, se", n, fitted.standard_errors, theirs["se"], ITERATED
    yield "glm, aic", n, fitted.aic, theirs["aic"], EXACT
    _, design = clinical.design(complete, theirs["profiled"])
    ends = logistic.profile(design, event, logistic.maximum_likelihood(design, event))
    yield "profile interval, ends", n, ends, theirs["profile"], ITERATED


def _path(data: str, table: pd.DataFrame, run: dict[str, Any]) -> Iterator[Row]:
    """The steps of a selection, and the AIC after each."""
    ours = clinical.step_aic(table, "aggressive_pd", run["candidates"], run["direction"])
    what = f"stepAIC ({run['direction']})"
    yield f"{what}, path", data, ours.path["step"], run["step"], SAME
    yield f"{what}, aic", data, ours.path["aic"], run["path_aic"], EXACT


def _firth(n: str, complete: pd.DataFrame, theirs: dict[str, Any]) -> Iterator[Row]:
    """Where a factor separates the outcome."""
    _, design = clinical.design(complete, ["diameter_mm", "mosaic"])
    event = complete["aggressive_pd"].to_numpy(dtype=bool)
    assert logistic.separated(design, event)
    ours = logistic.firth(design, event)
    yield "Firth, coefficients", n, ours.coefficients, theirs["coefficients"], ITERATED
    yield "Firth, se", n, ours.standard_errors, theirs["se"], ITERATED


def _optimism(n: str, complete: pd.DataFrame, theirs: dict[str, Any]) -> Iterator[Row]:
    """Model CS, its screening and its selection in resamples that a rule draws."""
    resamples = theirs["resamples"]
    drawn = whole_numbers(len(complete), len(resamples), 20241201).T % len(complete)
    ours = _resampled(complete, list(drawn))
    for metric, rows_of in ours.figures.groupby("metric", sort=False):
        gain = (rows_of["in_resample"] - rows_of["in_patients"]).mean()
        yield f"optimism, {metric}", n, gain, theirs["optimism"][metric], ITERATED
    yield from _resamples(n, ours, resamples)


def _resampled(table: pd.DataFrame, drawn: list[np.ndarray]) -> optimism.Resampled:
    fitted = partial(clinical.fit, candidates=CANDIDATES)
    return optimism.resampled(table, "aggressive_pd", fitted, drawn)


def _resamples(data: str, ours: optimism.Resampled, theirs: list[dict[str, Any]]) -> Iterator[Row]:
    """What each resample selects, and its model's figures there and in the patients."""
    selected = [" ".join(sorted(names)) for names in ours.variables]
    expected = [" ".join(sorted(np.atleast_1d(one["selected"]))) for one in theirs]
    yield "optimism, selection", data, selected, expected, SAME
    by_metric = ours.figures.groupby("metric")
    for column, key in (("in_resample", "resample"), ("in_patients", "patients")):
        for metric in theirs[0][key]:
            values = [one[key][metric] for one in theirs]
            found = by_metric.get_group(metric)[column]
            yield f"optimism, {metric}", data, found, values, ITERATED


def _of_clinical() -> Iterator[Row]:
    """Selections with interactions, among equals, where one comes back, and of few patients."""
    theirs = test_clinical.ORACLE
    for run in theirs["runs"]:
        table = test_clinical.patients_of(run["set"])
        yield from _path(SETS[run["set"]], table, run)
    drawn = [np.array(one["rows"]) for one in theirs["resamples"]]
    ours = _resampled(test_clinical.patients_of("paper"), drawn)
    yield from _resamples(SETS["paper"], ours, theirs["resamples"])
