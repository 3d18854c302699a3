"""What a centre hands over: estimates with standard errors and counts, no patient's row."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.centres import identities, leaks
from hcc_utils.evaluation import comparison, intervals
from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest
from hcc_utils.study.results import Folder

FORMAT = 1
SCALES: dict[str, str] = {
    "auc": "logit",
    "calibration_intercept": "identity",
    "calibration_slope": "identity",
}


def export(centre: str, metrics: pd.DataFrame) -> dict[str, Any]:
    """
    The content of a centre's ``export.json``: its models' figures, to be pooled with others.

    Parameters
    ----------
    centre : str
        The centre's name.
    metrics : pandas.DataFrame
        Rows of ``metrics.csv``. Those of AUC, calibration intercept and slope are taken, where
        the origin is external and the subgroup is everybody.

    Returns
    -------
    dict
        ``format``, ``centre``, ``protocol`` and ``figures``: for each model and metric
        ``estimate``, ``low``, ``high``, ``scale`` (of the standard error: logit or identity),
        ``se`` (none where the figure cannot be pooled), ``n``, ``events``, ``note``.

    Raises
    ------
    InputError
        If there is a column that no table of aggregates has, such as ``patient_id``, or no
        external figure.
    """
    foreign = [str(column) for column in metrics if column not in comparison.COLUMNS]
    if foreign:
        raise checks.InputError(
            f"an export holds aggregates alone; metrics has the column(s) {', '.join(foreign)}. "
            f"Give the rows of metrics.csv."
        )
    checks.columns(metrics, comparison.COLUMNS, name="metrics")
    rows = metrics[
        (metrics["origin"] == "external")
        & metrics["metric"].isin(SCALES)
        & metrics["subgroup"].fillna("all").isin(["", "all"])
    ]
    protocols = rows["protocol"].unique()
    if len(protocols) != 1:
        raise checks.InputError(
            f"an export holds the external figures of one protocol; metrics has those of "
            f"{len(protocols)}. A centre that helped to develop the models has none to give."
        )
    figures = [_figure(row) for row in rows.to_dict("records")]
    return {"format": FORMAT, "centre": centre, "protocol": str(protocols[0]), "figures": figures}


def hand_on(here: Folder, manifest: Manifest) -> None:
    """
    Nothing; at a validation centre with scores its export stands in the folder.

    Parameters
    ----------
    here : Folder
        The centre's results. Development has no external figure to give.
    manifest : Manifest
        The study, whose patients at this centre are looked for in it.

    Raises
    ------
    Problems
        If it would name a patient or this machine; an earlier one stays.
    """
    if here.centre == "development":
        return
    place = here.own("export.json")
    known = identities.of_study(
        manifest, manifest.hospitals(here.centre), places=[Path(here.root).absolute()], workers=1
    )
    with tempfile.TemporaryDirectory(dir=here.path, prefix=".export-") as folder:
        made = Path(folder) / place.name
        results.write_json(export(here.centre, here.read("metrics.csv")), made)
        leaks.let_out(made, place, known)


def _figure(row: dict[Any, Any]) -> dict[str, Any]:
    """One figure, in what JSON can hold."""
    note = "" if pd.isna(row["note"]) else str(row["note"])
    figure = {"model": str(row["model"]), "metric": str(row["metric"])}
    estimate = {name: _number(row[name]) for name in ("estimate", "low", "high")}
    counts = {"n": int(row["n"]), "events": int(row["events"])}
    scale = SCALES[row["metric"]]
    return {**figure, **estimate, "scale": scale, "se": _se(row, scale), **counts, "note": note}


def _se(row: dict[Any, Any], scale: str) -> float | None:
    """The standard error behind a symmetric 95 % interval on its scale, where there is one."""
    ends = np.array([row["low"], row["high"]], dtype=float)
    # an AUC of 0 or 1 has an exact interval and no logit
    if scale == "logit" and not (ends[0] > 0 and ends[1] < 1):
        return None
    if scale == "logit":
        ends = np.log(ends / (1 - ends))
    return _number(float(np.diff(ends)[0] / (2 * intervals.quantile(0.95))))


def _number(value: float) -> float | None:
    """The number, or None where it is missing: JSON knows no NaN."""
    return None if pd.isna(value) else float(value)
