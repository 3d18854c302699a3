"""What R finds in a comparison of two risks, on 40 to 20 000 patients, with ties and separation.

R's values: oracles/evaluation.json, made by oracles/evaluation.R (R 4.2.2, pROC 1.18.0, Hmisc
4.8.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from oracle_patients import DATA, R
from rows import EXACT, ITERATED, Row

from hcc_utils.evaluation import calibration, decision_curve, discrimination, reclassification
from hcc_utils.evaluation import comparison as compared
from hcc_utils.study.scores import Scores


def rows() -> Iterator[Row]:
    """All of them."""
    for n in DATA:
        yield from _of(n)
    yield from _unpaired()


def _of(n: str) -> Iterator[Row]:
    """Statistic, data, our value, R's and the tolerance, of one set of patients."""
    d, r = DATA[n], R[n]
    event, a, b = d["event"], d["risk_a"], d["risk_b"]
    for name, risk in (("a", a), ("b", b)):
        yield from _auc(n, event, risk, r[name])
        yield from _smooth(n, event, risk, r[f"smooth_{name}"])
    paired = discrimination.delong_paired(event, a, b)
    for name in ("z", "p_value", "low", "high"):
        yield f"paired DeLong, {name}", n, getattr(paired, name), r["paired"][name], EXACT
    yield from _improvement(n, d, r)
    test = calibration.hosmer_lemeshow(event, b)
    for name, theirs in r["hosmer_lemeshow"].items():
        yield f"Hosmer-Lemeshow, {name}", n, getattr(test, name), theirs, EXACT
    curve = decision_curve.net_benefit(event, a).query("strategy == 'model'")["net_benefit"]
    yield "net benefit, 99 thresholds", n, curve, r["net_benefit"], EXACT
    if "calibration" in r:
        yield from _calibration(n, event, b, r["calibration"])


def _auc(n: str, event: pd.Series, risk: pd.Series, theirs: dict[str, float]) -> Iterator[Row]:
    """AUC with DeLong's interval, and Youden's cut."""
    ours = discrimination.auc(event, risk)
    for name in ("auc", "se", "low", "high"):
        yield f"DeLong, {name}", n, getattr(ours, name), theirs[name], EXACT
    cut = discrimination.operating_point(event, risk, discrimination.youden(event, risk))
    for name in ("sensitivity", "specificity"):
        yield f"Youden, {name}", n, getattr(cut, name), theirs[f"youden_{name}"], EXACT


def _smooth(n: str, event: pd.Series, risk: pd.Series, theirs: dict[str, Any]) -> Iterator[Row]:
    """The loess curve at its ends and middle, and its distances from the risks."""
    ours = calibration.smooth(event, risk, resamples=0)
    for row in ours.distances.itertuples():
        yield f"loess, {row.metric.upper()}", n, row.estimate, theirs[row.metric], EXACT
    yield "loess, curve", n, ours.curve["observed"].iloc[[0, 25, 50]], theirs["curve"], EXACT


def _improvement(n: str, d: pd.DataFrame, r: dict[str, Any]) -> Iterator[Row]:
    """NRI, continuous and categorical, and IDI."""
    event, a, b = d["event"], d["risk_a"], d["risk_b"]
    for kind, cuts in (("continuous", None), ("categorical", [0.2, 0.4])):
        nri = reclassification.nri(event, a, b, cuts)
        for name in ("nri", "se", "z", "p_value", "events", "non_events"):
            yield f"{kind} NRI, {name}", n, getattr(nri, name), r[kind][name], EXACT
    idi = reclassification.idi(event, a, b)
    yield "IDI, idi", n, idi.idi, r["continuous"]["idi"], EXACT
    for name in ("se", "z", "p_value"):
        yield f"IDI, {name}", n, getattr(idi, name), r["continuous"][f"idi_{name}"], EXACT


def _calibration(n: str, event: pd.Series, risk: pd.Series, r: dict[str, float]) -> Iterator[Row]:
    """Intercept and slope with Wald's intervals, Brier score, O:E."""
    ours = calibration.calibration(event, risk)
    for name in ("intercept", "slope"):
        for end in ("", "_low", "_high"):
            yield (
                f"calibration {name}, {end or 'estimate'}",
                n,
                getattr(ours, f"{name}{end}"),
                r[f"{name}{end}"],
                ITERATED,
            )
    yield "Brier score, plain", n, ours.brier, r["brier"], EXACT
    yield "O:E, ratio", n, ours.observed_expected, r["observed_expected"], EXACT
    patients = pd.DataFrame({"patient_id": event.index.astype(str), "centre": "c", "event": event})
    given = {"model": "cs", "origin": "external", "event": "event"}
    table = compared.compare(Scores.of(patients, score=risk.array, risk=risk.array, **given))
    scaled = table.set_index("metric").loc["scaled_brier", "estimate"]
    yield "Brier score, scaled", n, scaled, r["scaled_brier"], EXACT


def _unpaired() -> Iterator[Row]:
    """AUC in two groups of different patients."""
    for first, second, key in (("40", "332", "unpaired"), ("300", "20000", "unpaired_huge")):
        a, b = DATA[first], DATA[second]
        ours = discrimination.delong_unpaired(a["event"], a["risk_a"], b["event"], b["risk_a"])
        for name in ("difference", "z", "df", "p_value"):
            data = f"{first} against {second}"
            yield f"unpaired DeLong, {name}", data, getattr(ours, name), R[key][name], EXACT
