"""The paper's tables of its models' figures, for any patients, from rows of ``metrics.csv``."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from hcc_utils import checks

TABLE_TWO: tuple[str, ...] = ("auc", "sensitivity", "specificity")
PARAMETERS: dict[str, tuple[str, ...]] = {
    "auc": ("auc",),
    "sensitivity": ("sensitivity",),
    "specificity": ("specificity",),
    "nri": ("nri",),
    "idi": ("idi",),
    "delong": ("auc_difference",),
    "calibration": ("calibration_intercept", "calibration_slope"),
    "decision_curve": ("net_benefit", "net_benefit_difference"),
}
"""
The paper's eight parameters, and the figures that stand for them.

Its Figure 1 says that the models were compared "using eight parameters (AUC, calibration, etc.)"
and lists no more. Its methods and Table 2 name these eight and no other; of the last two it shows
curves alone, for which their numbers stand here.
"""


def table_two(metrics: pd.DataFrame, thresholds: Mapping[str, float]) -> pd.DataFrame:
    """
    Each model's AUC, and its sensitivity and specificity at its own frozen threshold.

    Parameters
    ----------
    metrics : pandas.DataFrame
        Rows of ``metrics.csv``, of one protocol and horizon.
    thresholds : mapping of str to float
        Each model's frozen cut of the risk, by which the rows were made.

    Returns
    -------
    pandas.DataFrame
        A row a model and origin: ``model``, ``origin``, ``threshold``; ``auc``, ``sensitivity``
        and ``specificity``, each with ``_low`` and ``_high``; ``n``, ``events``.
    """
    rows = _single(metrics)
    key = ["model", "origin", "n", "events"]
    table = rows[key].drop_duplicates().reset_index(drop=True)
    table.insert(2, "threshold", table["model"].map(thresholds))
    for metric in TABLE_TWO:
        found = rows[rows["metric"] == metric].set_index(key)[["estimate", "low", "high"]]
        found.columns = [metric, f"{metric}_low", f"{metric}_high"]
        table = table.join(found, on=key)
    return table


def eight_parameters(metrics: pd.DataFrame) -> pd.DataFrame:
    """
    The rows of ``metrics.csv`` that the paper's eight parameters are, in its order.

    Parameters
    ----------
    metrics : pandas.DataFrame
        Rows of ``metrics.csv``, of one protocol and horizon.

    Returns
    -------
    pandas.DataFrame
        The same columns after ``parameter``, a key of `PARAMETERS`. NRI, IDI and DeLong's
        test hold a model against an earlier one, and so does a part of the decision curve.
    """
    rows = checks.columns(metrics, ["model", "comparator", "metric"], name="metrics")
    of = {metric: name for name, metrics_of in PARAMETERS.items() for metric in metrics_of}
    order = list(of)
    rows = rows[rows["metric"].isin(order)].sort_values(
        "metric", key=lambda names: names.map(order.index), kind="stable", ignore_index=True
    )
    rows = rows.assign(comparator=rows["comparator"].fillna(""))
    rows.insert(0, "parameter", rows["metric"].map(of))
    return rows


def _single(metrics: pd.DataFrame) -> pd.DataFrame:
    """The rows of a model by itself."""
    rows = checks.columns(metrics, ["model", "comparator", "metric"], name="metrics")
    return rows[rows["comparator"].fillna("").eq("") & rows["metric"].isin(TABLE_TWO)]
