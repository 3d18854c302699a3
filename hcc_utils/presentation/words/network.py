"""Words of chapter 03: Model D's training, what its score knows, and how firm it is."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from hcc_utils.models import shortcuts
from hcc_utils.presentation.words.plain import Whole, interval, p_value, some_of, span

ATTRIBUTIONS: dict[str, str] = {
    "grad_cam": "Grad-CAM",
    "integrated_gradients": "Integrated gradients",
}
ATTRIBUTION_CHECKS: dict[str, str] = {
    "completeness": "Completeness: what the sum lacks",
    "randomisation": "Random weights: similarity of the map",
    "deletion": "Deletion: area below chance",
    "share_in_lesion_box": "Share in the lesion's box",
    "share_in_margin": "Share in the margin",
    "agreement": "Agreement between networks",
}
TOLD: dict[str, str] = {
    "centre": "hospital",
    "kvp": "tube voltage (kVp)",
    "slice_thickness_mm": "slice thickness (mm)",
    "kernel": "reconstruction kernel",
    "one_level": "all alike: nothing to tell",
    "few_patients": "no level has 10 patients with and 10 without it",
    "same_as_centre": "the same question as the hospital",
}
SIZE: dict[str, str] = {
    "spearman": "Spearman's correlation of score and diameter",
    "auc_score": "AUC of the score",
    "auc_diameter": "AUC of the diameter alone",
    "auc_score_third_1": "AUC of the score, smallest third of lesions",
    "auc_score_third_2": "AUC of the score, middle third",
    "auc_score_third_3": "AUC of the score, largest third",
    "added": "What the score adds to diameter (signed root of the chi-square)",
}
SIZE_VERDICTS: dict[str, str] = {
    "adds_to_size": "The score tells more than size: it adds to log diameter and its square",
    "only_size": "**The score is only size**: it follows the diameter and adds nothing to it",
    "nothing_shown": "Neither is shown: that the score is only size, or that it adds to size",
}
PERTURBATIONS: dict[str, str] = {
    "roi_shift_pixels": "box moved (pixels of the CT)",
    "resize_kernel": "resized by another kernel (linear before)",
    "noise_hu": "noise added (SD, HU)",
    "window_centre_percent": "window's centre lower and higher (%)",
    "window_width_percent": "window narrower and wider (%)",
    "slices_fewer": "first or last slice left out",
}
SPREAD: dict[str, str] = {
    "out_of_fold": "development, out of fold",
    "external": "these patients, external",
}
TRAININGS: dict[str, str] = {
    "leak_free": "noise for both outcomes",
    "as_published": "the paper's noisy copies",
}
MOVED = 0.1  # of a score: more is no rounding of a patient's risk
SEEDS: dict[str, str] = {
    "sd_between_seeds": "SD of a patient's log odds between trainings",
    "sd_between_seeds_p95": "the same, 95th percentile of patients",
    "sd_between_patients": "SD of the log odds between patients",
}


def noise_verdict(table: pd.DataFrame) -> str:
    """
    What noise did to the scores of patients without the event, an item a way to train.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``noise_probe.csv``.

    Returns
    -------
    str
        Markdown.
    """
    items = [
        _noise_verdict(TRAININGS[str(protocol)], rows.sort_values("noise_sd"))
        for protocol, rows in table.groupby("protocol", sort=False)
    ]
    return "\n".join(items) or "Of this network it is not known what noise does to its scores."


def _noise_verdict(name: str, rows: pd.DataFrame) -> str:
    """How far one network moves within the noise that it saw in training, and beyond."""
    seen = rows[rows["noise_sd"] <= rows["trained_sd"]].iloc[-1]
    quiet, most = rows.iloc[0], rows.iloc[-1]
    said = (
        f"- **{name[0].upper()}{name[1:]}**: from {quiet['mean_score']:.2f} to "
        f"{seen['mean_score']:.2f} at {seen['noise_hu']:.0f} HU, the noise of its training"
    )
    if seen["noise_sd"] < most["noise_sd"]:
        said += f", and to {most['mean_score']:.2f} at {most['noise_hu']:.0f} HU, foreign to it"
    moved = rows[(rows["mean_score"] - quiet["mean_score"]).abs() > MOVED]
    if moved.empty:
        return f"{said}. It hardly moves."
    return (
        f"{said}. From {moved.iloc[0]['noise_hu']:.0f} HU on it moves by more than {MOVED:g}: of "
        f"a scan as noisy as that its scores mean nothing."
    )


def told(table: pd.DataFrame) -> pd.DataFrame:
    """
    What score and features tell of hospital and scanner, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.shortcuts.told` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by setting and level.
    """
    rows = list(table.itertuples())
    text = {
        "from": table["source"].fillna("").tolist(),
        "patients": [some_of(row.with_level, row.n) for row in rows],
        "AUC (95 % interval)": [interval(row.auc, row.low, row.high) for row in rows],
        "by chance": [span(row.chance_low, row.chance_high) for row in rows],
        "p": table["p_value"].map(p_value).tolist(),
        "note": table["note"].replace(TOLD).tolist(),
    }
    index = [table["setting"].replace(TOLD), table["level"].fillna("")]
    return Whole(pd.DataFrame(text, index=pd.MultiIndex.from_arrays(index)))


NOT_JUDGED = "By a borrowed network nothing may be judged."


def within_centres(table: pd.DataFrame) -> str:
    """
    Whether a score looks better pooled than within hospitals.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.shortcuts.within_centres` gives it.

    Returns
    -------
    str
        A sentence; another one where all patients are of one hospital or one class, or nothing
        may be judged.
    """
    if table.empty:
        return NOT_JUDGED
    row = {one.pairs: one for one in table.itertuples()}
    if not (row["same_centre"].n_pairs and row["other_centre"].n_pairs):
        return "Pairs within and between hospitals cannot be compared here: there is one kind only."
    all_, same, gain = (
        interval(one.auc, one.low, one.high)
        for one in (row["all"], row["same_centre"], row["all_less_same_centre"])
    )
    return (
        f"Over all pairs of a patient with and one without the event the AUC is {all_}; over the "
        f"{row['same_centre'].n_pairs} pairs of one hospital it is {same}. Pooling adds {gain}: "
        f"{_pooling(row['all_less_same_centre'].low)}"
    )


def _pooling(low: float) -> str:
    """What the gain's lower limit says."""
    if low > 0:
        return "**part of the pooled AUC only tells hospitals apart.**"
    return (
        "these patients do not show that the pooled AUC owes anything to telling hospitals apart."
    )


def size(table: pd.DataFrame) -> pd.DataFrame:
    """
    A score against the lesion's size, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.shortcuts.size` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by what is compared.
    """
    text = {
        "patients": table["n"].astype(str).tolist(),
        "estimate (95 % interval)": [
            interval(row.estimate, row.low, row.high) for row in table.itertuples()
        ],
        "p": table["p_value"].map(p_value).tolist(),
    }
    return Whole(pd.DataFrame(text, index=pd.Index(table["figure"].map(SIZE), name="")))


def size_verdict(table: pd.DataFrame) -> str:
    """
    Whether the score is only size, and by which rule.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.shortcuts.size` gives it.

    Returns
    -------
    str
        A sentence, also where nothing may be judged.
    """
    if table.empty:
        return NOT_JUDGED
    p = p_value(table["p_value"].iloc[-1]) or "not estimable"
    return (
        f"{SIZE_VERDICTS[shortcuts.size_verdict(table)]} (p {p}). The rule: it adds where p, "
        f"one-sided and by permutation, is below 0.05; else it is only size where the whole "
        f"interval of the correlation is above {shortcuts.LIKE_SIZE}."
    )


def robustness(table: pd.DataFrame) -> pd.DataFrame:
    """
    How far scores move under each change of the slices, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.robustness.robustness` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by change and amount.
    """
    rows = list(table.itertuples())
    text = {
        "patients": table["n"].astype(str).tolist(),
        "mean change of the score": [_number(row.mean_change) for row in rows],
        "95th percentile": [_number(row.p95_change) for row in rows],
        "ICC (95 % interval)": [interval(row.icc, row.low, row.high) for row in rows],
        "agreement": table["reliability"].tolist(),
        "AUC before": [_number(row.auc_before) for row in rows],
        "after": [_number(row.auc_after) for row in rows],
    }
    index = [table["perturbation"].map(PERTURBATIONS), table["amount"]]
    return Whole(pd.DataFrame(text, index=pd.MultiIndex.from_arrays(index)))


def spread(table: pd.DataFrame) -> pd.DataFrame:
    """
    How far patients' scores lie apart, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.spread.between_patients` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by whose scores they are.
    """
    rows = list(table.itertuples())
    text = {
        "patients": [f"{row.n:.0f}" for row in rows],
        "log odds: mean": [_number(row.mean_logit) for row in rows],
        "SD (95 % interval)": [interval(row.sd_logit, row.low, row.high) for row in rows],
        "scores one SD to either side": [_around(row.mean_logit, row.sd_logit) for row in rows],
    }
    return Whole(pd.DataFrame(text, index=pd.Index(table["origin"].map(SPREAD), name="")))


def spread_verdict(table: pd.DataFrame) -> str:
    """
    Whether the final network is as sure of itself as the folds' networks, and by which rule.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.spread.between_patients` gives it.

    Returns
    -------
    str
        A sentence, also where nothing may be judged.
    """
    if table.empty:
        return NOT_JUDGED
    row = table.iloc[-1]
    if len(table) == 1:
        return (
            f"Out of fold the log odds of {row['n']} patients have an SD of "
            f"{interval(row['sd_logit'], row['low'], row['high'], 2)}. At each validation hospital "
            f"the spread of the final network's scores is held against it."
        )
    if pd.isna(row["ratio"]):
        return "Too few patients, or scores all alike: the two spreads cannot be compared."
    moved = row["mean_logit"] - table["mean_logit"].iloc[0]
    ratio = interval(row["ratio"], row["ratio_low"], row["ratio_high"], 2)
    return (
        f"The final network's log odds spread {ratio} times as wide here as development's out of "
        f"fold: {_dispersed(row)}. Their mean is {abs(moved):.2f} "
        f"{'higher' if moved > 0 else 'lower'}. The rule: wider or narrower where the whole "
        f"interval is above or below 1. Patients may differ too, not the networks alone: the "
        f"calibration slope in chapter 04 judges the risks."
    )


def _dispersed(row: Any) -> str:
    """What the interval of the ratio of two spreads says."""
    if row["ratio_low"] > 1:
        return "**wider**, as if it were too sure of itself (over-dispersed)"
    if row["ratio_high"] < 1:
        return "**narrower**, as if it were not sure enough (under-dispersed)"
    return "no difference is shown"


def seeds(table: pd.DataFrame) -> pd.DataFrame:
    """
    What trainings under other seeds say, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.spread.between_seeds` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by figure.
    """
    rows = list(table.itertuples())
    text = {
        "patients": [f"{row.n:.0f}" for row in rows],
        "estimate (95 % interval)": [interval(row.estimate, row.low, row.high) for row in rows],
    }
    names = [SEEDS.get(row.figure) or f"AUC of {_training(row.member)}" for row in rows]
    shown = Whole(pd.DataFrame(text, index=pd.Index(names, name="")))
    shown.attrs["nothing"] = "No second training to compare with."
    return shown


def _training(member: str) -> str:
    """One of the trainings, or their mean."""
    return "the mean of all, which is the score" if member == "mean" else f"training {member} alone"


def seeds_verdict(table: pd.DataFrame) -> str:
    """
    How much of a score is the chance of one training.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.spread.between_seeds` gives it.

    Returns
    -------
    str
        A sentence, also where there is one training only.
    """
    if table.empty:
        return (
            "How far another training would move these scores is not known. A study whose "
            "manifest says `network: {members: 3}` trains each network three times."
        )
    estimate = table.set_index("figure")["estimate"]
    seed, patients = estimate["sd_between_seeds"], estimate["sd_between_patients"]
    than = "**more than patients differ**" if seed >= patients else "less than patients differ"
    return (
        f"From one training to another a patient's log odds move by an SD of {seed:.2f}, {than} "
        f"({patients:.2f}). Where the trainings say 0.50 on average, one alone says "
        f"{_around(0, seed)} (one SD to either side)."
    )


def _around(logit: float, sd: float) -> str:
    """The probabilities one SD below and above, of log odds."""
    low, high = (1 / (1 + math.exp(-value)) for value in (logit - sd, logit + sd))
    return "" if pd.isna(sd) else f"{low:.2f} to {high:.2f}"


def _number(value: float) -> str:
    """With three digits, or nothing."""
    return "" if pd.isna(value) else f"{value:.3f}"


def attribution_checks(table: pd.DataFrame) -> pd.DataFrame:
    """
    Whether attribution maps earn trust, check by check, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        ``method``, ``check``, ``estimate``, ``low``, ``high``, ``passes``, ``note``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a method and check.
    """
    verdicts = [
        "" if pd.isna(passes) else "passes" if passes else "fails" for passes in table["passes"]
    ]
    text = {
        "check": [ATTRIBUTION_CHECKS.get(name, name) for name in table["check"]],
        "estimate (95 % interval)": [
            interval(row.estimate, row.low, row.high, 2) for row in table.itertuples()
        ],
        "verdict": verdicts,
        "rule": list(table["note"]),
    }
    names = [ATTRIBUTIONS.get(name, name) for name in table["method"]]
    return Whole(pd.DataFrame(text, index=pd.Index(names, name="map")))


def attribution_verdict(table: pd.DataFrame) -> str:
    """
    How far each kind of attribution map may be trusted, in a sentence each.

    Parameters
    ----------
    table : pandas.DataFrame
        ``method``, ``check``, ``passes``.

    Returns
    -------
    str
        Markdown.
    """
    said = []
    for method, rows in table.groupby("method", sort=False):
        judged = rows[rows["passes"].notna()]
        failed = judged.loc[~judged["passes"].astype(bool), "check"]
        name = ATTRIBUTIONS.get(str(method), str(method))
        if failed.empty:
            said.append(f"{name} passes all {len(judged)} checks that could be made.")
            continue
        which = "; ".join(ATTRIBUTION_CHECKS.get(check, check) for check in failed)
        said.append(
            f"**{name} fails {len(failed)} of {len(judged)} checks** ({which}): its pictures "
            f"must not be read as what the network sees."
        )
    return " ".join(said) or "No map was checked: nothing may be judged here."
