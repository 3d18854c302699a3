"""The explorer: what each threshold would mean, in Jupyter and in the book without a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import pandas as pd
import traitlets

from hcc_utils import checks
from hcc_utils.study.vocabulary import label

MIME = "application/vnd.hcc.explorer.v1+json"
SCRIPT = Path(__file__).with_name("explorer.js")

_COUNTS = ["true_positive", "false_positive", "false_negative", "true_negative"]


class Explorer(anywidget.AnyWidget):  # type: ignore[misc] # anywidget carries no types
    """
    The widget that `explorer` gives.

    Beside the widget's own view it gives its data as `MIME`, which the book draws with the same
    script, so that it moves without a kernel.
    """

    _esm = SCRIPT.read_text("utf-8") + (
        "\nexport default { render({ model, el }) { mount(el, model.get('content')); } };\n"
    )
    content = traitlets.Dict().tag(sync=True)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget's own view, and its data for the book."""
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        words = f"Threshold explorer of {', '.join(m['label'] for m in self.content['models'])}"
        return bundle | {MIME: self.content, "text/plain": words}, metadata


def explorer(counts: pd.DataFrame, thresholds: Mapping[str, float]) -> Explorer:
    """
    Slider over the threshold: how many would be called high risk, and how rightly.

    Parameters
    ----------
    counts : pandas.DataFrame
        Rows of ``threshold_counts.csv``: ``model``, ``threshold``, ``true_positive``,
        ``false_positive``, ``false_negative``, ``true_negative``. No patient's row is needed or
        carried.
    thresholds : Mapping of str to float
        The frozen threshold of each model; a model without one has none marked.

    Returns
    -------
    Explorer
        A widget; shown in a notebook it is stored in a form that the book draws too.

    Raises
    ------
    InputError
        If a column is missing, a count is no whole number, or a model's patients change in number
        from one threshold to the next.
    """
    checks.columns(counts, ["model", "threshold", *_COUNTS], name="counts")
    if counts.empty:
        raise checks.InputError("counts has no rows: there is nothing to explore.")
    for name in thresholds:
        checks.one_of("a frozen threshold's model", name, map(str, counts["model"].unique()))
    checks.probabilities("thresholds", list(thresholds.values()))
    models = [
        {
            "id": str(name),
            "label": label(str(name)),
            "frozen": float(thresholds[str(name)]) if str(name) in thresholds else None,
            "rows": _rows(str(name), rows.sort_values("threshold")),
        }
        for name, rows in counts.groupby("model", sort=False)
    ]
    return Explorer(content={"models": models})


def _rows(model: str, rows: pd.DataFrame) -> list[list[float]]:
    """A model's thresholds, each with its four counts."""
    thresholds = checks.probabilities("threshold", rows["threshold"])
    for column in _COUNTS:
        values = checks.numbers(column, rows[column])
        if (values < 0).any() or (values % 1 != 0).any():
            raise checks.InputError(f"{column} of model {model!r} must hold whole numbers from 0.")
    counts = rows[_COUNTS].astype(int).to_numpy()
    totals = sorted(set(counts.sum(axis=1).tolist()))
    if len(totals) != 1 or totals[0] == 0:
        raise checks.InputError(
            f"the four counts of model {model!r} must add up to the same patients at every "
            f"threshold; they add up to {totals}."
        )
    return [
        [float(t), *map(int, four)] for t, four in zip(thresholds, counts.tolist(), strict=True)
    ]
