"""Several centres together: each one, their random-effects mean, and what the next may expect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from hcc_utils import checks
from hcc_utils.centres.export import FORMAT
from hcc_utils.evaluation import intervals
from hcc_utils.study import results
from hcc_utils.study.vocabulary import label

POOLED, NEXT = "pooled", "next centre"
FEWEST_CENTRES = 3  # below it, how centres differ cannot be judged
_STEPS = 1000
_SCALES = {"logit": (special.logit, special.expit), "identity": (np.asarray, np.asarray)}
COLUMNS: tuple[str, ...] = (
    "metric",
    "model",
    "centre",
    "estimate",
    "low",
    "high",
    "n",
    "events",
    "weight",
    "note",
)


@dataclass(frozen=True)
class RandomEffects:
    """A mean over centres, its standard error, and the variance between them."""

    mean: float
    se: float
    between: float
    df: int
    weights: checks.Floats

    def interval(self, *, of_next: bool = False) -> tuple[float, float, float]:
        """
        The mean with its 95 % interval.

        Parameters
        ----------
        of_next : bool, default False
            Whether the interval is to hold the next centre's own value instead; missing below
            three centres.

        Returns
        -------
        tuple of float
            Mean, low, high.
        """
        if of_next and self.df < FEWEST_CENTRES - 1:
            return self.mean, np.nan, np.nan
        error = np.sqrt(self.se**2 + self.between) if of_next else self.se
        reach = intervals.quantile(0.95, self.df) * error
        return self.mean, self.mean - reach, self.mean + reach


def read_exports(folder: Path | str) -> list[dict[str, Any]]:
    """
    The exports of the accepted validation centres.

    Parameters
    ----------
    folder : pathlib.Path or str
        The study's results, with ``accepted.json`` and a folder a centre. A centre that is not
        in it is not read, whatever lies in its folder.

    Returns
    -------
    list of dict
        One a centre, in the order of ``accepted.json``.

    Raises
    ------
    InputError
        If an accepted centre has no export.
    """
    folder = Path(folder)
    accepted = results.accepted(folder)
    missing = [centre for centre in accepted if not (folder / centre / "export.json").is_file()]
    if missing:
        raise checks.InputError(
            f"no export.json of {', '.join(missing)} in {folder}; notebook 06_survival writes it."
        )
    return [json.loads((folder / c / "export.json").read_text("utf-8")) for c in accepted]


def pool(exports: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """
    The rows of ``pooled.csv``: each centre, the pooled estimate, and the next centre's interval.

    Parameters
    ----------
    exports : sequence of dict
        One a centre, as `centres.export.export` makes them.

    Returns
    -------
    pandas.DataFrame
        For each metric and model one row a centre, then ``pooled`` and ``next centre``:
        ``metric``, ``model``, ``centre``, ``estimate``, ``low``, ``high``, ``n``, ``events``,
        ``weight`` (in the mean, adding up to 1; missing where a centre could not be pooled),
        ``note``.

    Raises
    ------
    InputError
        If there is no export, one is of another format or protocol, or a centre stands twice.

    Notes
    -----
    Random effects: variance between centres by REML, AUC on the logit scale, the interval by
    Hartung and Knapp with the usual guard that it is never narrower than without it (metafor:
    ``rma(method = "REML", test = "adhoc")``). The next centre's interval adds the variance
    between centres; both use t with one degree of freedom less than there are centres. Centres
    with fewer than 10 events are flagged and kept. ``note`` holds words joined by "; ":
    ``too_few_events`` and ``one_class`` (as in ``metrics.csv``), ``not_pooled`` (no standard
    error: one class, or an AUC of 0 or 1), ``one_centre_only`` or
    ``no_centre`` (nothing pooled), ``fewer_than_3_centres`` (a mean, but no prediction).

    References
    ----------
    .. [1] Debray et al. (2017), BMJ 356:i6460 (pooling of validation studies).
    .. [2] IntHout, Ioannidis and Borm (2014), BMC Med Res Methodol 14:25 (Hartung-Knapp).
    """
    _refuse_mixture(exports)
    figures = pd.DataFrame(
        [{"centre": e["centre"], **figure} for e in exports for figure in e["figures"]]
    ).astype({"estimate": float, "low": float, "high": float, "se": float})
    parts = [_pooled(part) for _, part in figures.groupby(["metric", "model"], sort=False)]
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def sentence(pooled: pd.DataFrame, metric: str = "auc") -> str:
    """
    What the centres say together, in a sentence a model.

    Parameters
    ----------
    pooled : pandas.DataFrame
        The rows of ``pooled.csv``.
    metric : str, default "auc"
        Which figure.

    Returns
    -------
    str
        Markdown.
    """
    rows = pooled[pooled["metric"] == metric].set_index(["model", "centre"])
    models = rows.index.get_level_values("model").unique()
    said = [_said(label(model), rows.loc[model]) for model in models]
    return " ".join(said) or "No centre has handed over a figure."


def random_effects(values: checks.Floats, errors: checks.Floats) -> RandomEffects:
    """
    The random-effects mean of two or more estimates.

    Parameters
    ----------
    values : numpy.ndarray of float, shape (n_centres,)
        The estimates.
    errors : numpy.ndarray of float, shape (n_centres,)
        Their standard errors.

    Returns
    -------
    RandomEffects
        By REML, as `pool` says.
    """
    between = _reml(values, errors**2)
    weights = 1 / (errors**2 + between)
    mean = float(weights @ values / weights.sum())
    df = len(values) - 1
    spread = float(weights @ (values - mean) ** 2 / df)
    se = float(np.sqrt(max(1.0, spread) / weights.sum()))
    return RandomEffects(mean, se, between, df, weights / weights.sum())


def _reml(values: checks.Floats, variances: checks.Floats) -> float:
    """The variance between centres by Fisher scoring, as metafor, never below 0."""
    between = max(0.0, float(values.var(ddof=1) - variances.mean()))
    for _ in range(_STEPS):
        weights = 1 / (variances + between)
        projected = np.diag(weights) - np.outer(weights, weights) / weights.sum()
        residual = projected @ values
        step = (residual @ residual - np.trace(projected)) / (projected**2).sum()
        before, between = between, max(0.0, between + float(step))
        if abs(between - before) < 1e-12:
            break
    return between


def _refuse_mixture(exports: Sequence[dict[str, Any]]) -> None:
    """Refuse exports that do not belong together."""
    if not exports:
        raise checks.InputError("pooling needs at least one centre's export; there is none.")
    if {e.get("format") for e in exports} != {FORMAT}:
        raise checks.InputError(
            f"exports must be of format {FORMAT}. Make them anew with one version of hcc_utils."
        )
    protocols = sorted({str(e["protocol"]) for e in exports})
    if len(protocols) > 1:
        raise checks.InputError(f"exports must be of one protocol; got {', '.join(protocols)}.")
    names = [str(e["centre"]) for e in exports]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise checks.InputError(f"a centre counts once; {', '.join(twice)} stands several times.")


def _pooled(part: pd.DataFrame) -> pd.DataFrame:
    """The rows of one metric and model."""
    usable = part["se"].notna()
    left_out = np.where(usable, "", "not_pooled")
    notes = ["; ".join(filter(None, pair)) for pair in zip(part["note"], left_out, strict=True)]
    each = part.assign(weight=np.nan, note=notes)
    effect = None
    if usable.sum() >= 2:
        to_scale, from_scale = _SCALES[part["scale"].iloc[0]]
        known = part[usable]
        effect = random_effects(to_scale(known["estimate"].to_numpy()), known["se"].to_numpy())
        each.loc[usable, "weight"] = effect.weights
    together = {
        "metric": part["metric"].iloc[0],
        "model": part["model"].iloc[0],
        "n": int(part.loc[usable, "n"].sum()),
        "events": int(part.loc[usable, "events"].sum()),
        "weight": np.nan,
    }
    rows: list[dict[str, object]] = []
    for centre in (POOLED, NEXT):
        row = {**together, "centre": centre, "estimate": np.nan, "low": np.nan, "high": np.nan}
        if effect is not None:
            found = from_scale(np.array(effect.interval(of_next=centre == NEXT)))
            row |= dict(zip(("estimate", "low", "high"), found.tolist(), strict=True))
        rows.append({**row, "note": _few(int(usable.sum()))})
    return pd.concat([each[list(COLUMNS)], pd.DataFrame(rows)[list(COLUMNS)]], ignore_index=True)


def _few(centres: int) -> str:
    """What to say where there are too few centres."""
    if centres < 2:
        return "one_centre_only" if centres else "no_centre"
    return "" if centres >= FEWEST_CENTRES else f"fewer_than_{FEWEST_CENTRES}_centres"


def _said(model: str, rows: pd.DataFrame) -> str:
    """One model's sentence."""
    mean, following = rows.loc[POOLED], rows.loc[NEXT]
    centres = int(rows["weight"].notna().sum())
    if centres < 2:
        return f"{model}: {centres} centre(s) with an estimate, so nothing is pooled."
    said = (
        f"{model}: {mean['estimate']:.2f} (95 % CI {mean['low']:.2f} to {mean['high']:.2f}) over "
        f"{centres} centres with {mean['events']} events"
    )
    if np.isnan(following["low"]):
        return f"{said}; with fewer than {FEWEST_CENTRES} centres nothing is said of the next one."
    return f"{said}; the next centre may see {following['low']:.2f} to {following['high']:.2f}."
