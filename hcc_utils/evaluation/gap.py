"""The same patients under both protocols: what the paper's choices add to a figure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from hcc_utils.evaluation import comparison, discrimination
from hcc_utils.study.scores import PROTOCOLS, Scores

COLUMNS: tuple[str, ...] = (
    "model",
    "metric",
    *(f"{protocol}{what}" for protocol in PROTOCOLS for what in ("_origin", "", "_low", "_high")),
    "difference",
    "difference_low",
    "difference_high",
    "n",
    "events",
    "note",
)


def gap(scores: Scores) -> pd.DataFrame:
    """
    Each model's AUC under both protocols, and their difference (as_published less leak_free).

    Parameters
    ----------
    scores : Scores
        Of the same patients under both protocols, each protocol with one origin a model.

    Returns
    -------
    pandas.DataFrame
        One row a model that both protocols know: ``model``, ``metric`` (auc), for each protocol
        its origin, estimate and interval (DeLong on the logit scale), ``difference`` with
        ``difference_low`` and ``difference_high`` (paired DeLong), ``n``, ``events`` and the
        ``note`` of `comparison.compare`. Patients whom one protocol alone scored are left aside.
    """
    found = [_row(model) for model in _on_both_sides(scores)]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _on_both_sides(scores: Scores) -> Iterator[Scores]:
    """Each model's scores of the patients whom both protocols scored."""
    key = ["patient_id", "model"]
    protocols = scores.table.groupby(key)["protocol"].transform("nunique")
    both = scores.table[protocols == len(PROTOCOLS)]
    for _, rows in both.groupby("model", sort=False):
        yield Scores(rows.reset_index(drop=True))


def _row(scores: Scores) -> dict[str, Any]:
    """One model's row."""
    areas = comparison.compare(scores).query("metric == 'auc'").set_index("protocol")
    row: dict[str, Any] = dict(areas.loc["leak_free", ["model", "metric", "n", "events"]])
    notes = "; ".join(filter(None, areas["note"])).split("; ")
    row["note"] = "; ".join(dict.fromkeys(notes))
    for protocol in PROTOCOLS:
        row[f"{protocol}_origin"] = areas.loc[protocol, "origin"]
        row[protocol] = areas.loc[protocol, "estimate"]
        for end in ("low", "high"):
            row[f"{protocol}_{end}"] = areas.loc[protocol, end]
    return row | _difference(scores)


def _difference(scores: Scores) -> dict[str, float]:
    """What the published choices add; missing where only one outcome is there."""
    names = ("difference", "difference_low", "difference_high")
    of = {name: scores.only(protocol=name).table.set_index("patient_id") for name in PROTOCOLS}
    event = of["leak_free"]["event"]
    if event.nunique() < 2:
        return dict.fromkeys(names, np.nan)
    as_published = of["as_published"]["risk"].reindex(event.index)
    found = discrimination.delong_paired(event, as_published, of["leak_free"]["risk"])
    return dict(zip(names, (found.difference, found.low, found.high), strict=True))
