"""Words of the tables that the paper has too: Table 2, its eight parameters, and the gap."""

from __future__ import annotations

from typing import Any

import pandas as pd

from hcc_utils.evaluation.paper_tables import TABLE_TWO
from hcc_utils.presentation.words.centres import group_of_centres
from hcc_utils.presentation.words.plain import METRICS, NOTES, Each, Whole, estimate, interval
from hcc_utils.presentation.words.plain import p_value as printed_p
from hcc_utils.study.vocabulary import MODELS, label

CHOICES: dict[str, str] = {
    "complete_cases": "complete cases only",
    "noisy_copies": "outcomes balanced by noisy copies",
    "fitted_on_apparent_scores": "fitted on apparent scores",
    "judged_on_the_fit": "judged on the patients of the fit",
    "epoch_chosen_on_them": "epoch chosen on these patients too",
    "score_taken_as_risk": "score taken as a risk, not recalibrated",
    "threshold_from_the_fit": "threshold from the patients of the fit",
}
"""What the paper did otherwise, by the words of ``gap.csv``."""
_PARAMETERS = {
    "auc": "AUC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "nri": "NRI (continuous)",
    "idi": "IDI",
    "delong": "DeLong's test (difference in AUC)",
    "calibration": "Calibration",
    "decision_curve": "Decision curve (net benefit)",
}
_PARTS = {
    "calibration_intercept": "intercept",
    "calibration_slope": "slope",
    "net_benefit": "at its own threshold",
    "sensitivity": "at its own threshold",
    "specificity": "at its own threshold",
}
_PUBLISHED = ("cs", "d", "csd")
_MEANS_NOTHING = "†"


def table_two(table: pd.DataFrame) -> pd.DataFrame:
    """
    Each model's AUC, sensitivity and specificity at its own threshold, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `evaluation.paper_tables.table_two` gives it.

    Returns
    -------
    pandas.DataFrame
        Text: a row a model.
    """
    rows = list(table.to_dict("records"))
    text = {"scores": [str(row["origin"]).replace("_", " ") for row in rows]}
    text |= {
        f"{METRICS[metric]} (95 % interval)": [
            interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"]) for row in rows
        ]
        for metric in TABLE_TWO
    }
    text["threshold"] = [_cut(row["threshold"]) for row in rows]
    text["events"] = [f"{row['events']} of {row['n']}" for row in rows]
    index = pd.Index([label(row["model"]) for row in rows], name="model")
    return Whole(pd.DataFrame(text, index=index))


def eight_parameters(table: pd.DataFrame) -> pd.DataFrame:
    """
    The paper's eight parameters side by side, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `evaluation.paper_tables.eight_parameters` gives it.

    Returns
    -------
    pandas.DataFrame
        Text: a row a parameter, and a model over which others are held; a column a model. A
        dagger stands where a miscalibrated model makes NRI or IDI meaningless.
    """
    models = [model for model in MODELS if model in set(table["model"])]
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in table.itertuples():
        over = f"over {label(row.comparator)}" if row.comparator else _PARTS.get(row.metric, "")
        cells.setdefault((_PARAMETERS[row.parameter], over), {})[label(row.model)] = _cell(row)
    shown = pd.DataFrame(cells.values(), columns=list(map(label, models))).fillna("")
    shown.index = pd.MultiIndex.from_tuples(cells, names=["parameter", ""])
    return Whole(shown)


def eight_parameters_verdict(table: pd.DataFrame) -> str:
    """
    What must be known of the eight parameters on these patients, in sentences.

    Parameters
    ----------
    table : pandas.DataFrame
        As `evaluation.paper_tables.eight_parameters` gives it.

    Returns
    -------
    str
        Markdown; that models or parameters are missing, and why.
    """
    there, notes = set(table["model"]), set("; ".join(table["note"].fillna("")).split("; "))
    said = []
    missing = [label(model) for model in _PUBLISHED if model not in there]
    held = [label(model) for model in MODELS if model in there]
    if missing:
        said.append(f"This study has no {_listed(missing, 'or')}: the tables hold {_listed(held)}.")
    if len(there) == 1:
        lacking = [_PARAMETERS[name] for name in ("nri", "idi", "delong")]
        said.append(f"{_listed(lacking)} hold one model against another, and there is one alone.")
    elif "stacked_no_headline" in notes:
        said.append(
            "Model CSD's scores are stacked: its fit has seen these patients. They are not held "
            "against scores out of fold, so its NRI, IDI and DeLong's test are left empty "
            "(profile full has them out of fold)."
        )
    said += [f"**{NOTES[word].capitalize()}.**" for word in ("one_class", "too_few_events")
             if word in notes]  # fmt: skip
    if table["note"].str.contains("miscalibrated", na=False).any():
        said.append(f"{_MEANS_NOTHING} A model is miscalibrated here: the figure means nothing.")
    if "threshold_may_be_chosen_here" in notes:
        said.append("Thresholds were chosen on these patients, which flatters what stands at them.")
    return " ".join(said) or "All three models are there, and no warning stands at their figures."


def gap_figures(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """
    Every headline figure but the AUC under both protocols, a table for each group of patients.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``gap.csv``.

    Returns
    -------
    dict of str to pandas.DataFrame
        Text by group, indexed by model and figure; shown one below the other. What was chosen
        otherwise is said where it changes from one row to the next.
    """
    rest = table[table["metric"] != "auc"]
    return Each({group: _gap_of(rows) for group, rows in rest.groupby("patients", sort=False)})


def _gap_of(table: pd.DataFrame) -> Whole:
    """One group's table."""
    rows = table.to_dict("records")
    models = [_over(row) for row in rows]
    chosen = [(model, _chosen(row["choices"])) for model, row in zip(models, rows, strict=True)]
    text = {
        "leak-free": [_side(row, "leak_free") for row in rows],
        "by the paper's choices": [_side(row, "as_published") for row in rows],
        "difference": [
            ""
            if pd.isna(row["difference"])
            else interval(row["difference"], row["difference_low"], row["difference_high"])
            for row in rows
        ],
        "what the paper chose otherwise": [
            "" if k and chosen[k - 1] == pair else pair[1] for k, pair in enumerate(chosen)
        ],
    }
    figures = [METRICS[row["metric"]] for row in rows]
    index = pd.MultiIndex.from_arrays([models, figures], names=["model", "figure"])
    shown = Whole(pd.DataFrame(text, index=index))
    shown.attrs["caption"] = _caption(table)
    return shown


def _caption(table: pd.DataFrame) -> str:
    """Whose figures they are, how many patients, and whether they are few."""
    most = table.loc[table["n"].idxmax()]
    said = f"{group_of_centres(most['patients'])}: {most['events']} events in {most['n']} patients"
    notes = "; ".join(table["note"].fillna("")).split("; ")
    few = [NOTES[word] for word in ("one_class", "too_few_events") if word in notes]
    return "; ".join([said, *few])


def _side(row: dict[str, Any], protocol: str) -> str:
    """One protocol's figure, with its threshold or its p-value."""
    if pd.isna(row[f"{protocol}_origin"]):
        return "not used" if row["metric"] == "hosmer_lemeshow" else "not compared"
    ends = (row[protocol], row[f"{protocol}_low"], row[f"{protocol}_high"])
    chi_square = row["metric"] == "hosmer_lemeshow" and not pd.isna(row[protocol])
    said = f"{row[protocol]:.2f}" if chi_square else interval(*ends)
    cut, p = row[f"{protocol}_threshold"], row[f"{protocol}_p_value"]
    at = "" if pd.isna(cut) else f" at {_cut(cut)}"
    return f"{said}{at}{_tested(p)}"


def _cell(row: Any) -> str:
    """A figure with its p-value, or the dagger where it means nothing."""
    return (
        f"{estimate(row)}{_tested(row.p_value)}"
        f"{f' {_MEANS_NOTHING}' if 'miscalibrated' in str(row.note) else ''}"
    )


def _tested(p: float) -> str:
    said = printed_p(p)
    return f", p {said}" if said else ""


def _cut(threshold: float) -> str:
    return "" if pd.isna(threshold) else f"{threshold:.3f}"


def _over(row: dict[str, Any]) -> str:
    """A model, or a model over another."""
    over = f" over {label(row['comparator'])}" if row["comparator"] else ""
    return f"{label(row['model'])}{over}"


def _chosen(words: str) -> str:
    return "; ".join(CHOICES[word] for word in words.split("; ") if word)


def _listed(names: list[str], joined: str = "and") -> str:
    """Names in a list within a sentence."""
    *others, last = names
    return f"{', '.join(others)} {joined} {last}" if others else last
