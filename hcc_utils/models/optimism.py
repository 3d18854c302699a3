"""How much a fit flatters itself, and how far it hangs on its patients: by bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from hcc_utils import checks
from hcc_utils.evaluation import discrimination
from hcc_utils.models import logistic
from hcc_utils.models.clinical import FEW_EVENTS, variables_of
from hcc_utils.study import cohort, progress
from hcc_utils.study.results import Folder

RESAMPLES = 200
OPTIMISM = ["model", "metric", "apparent", "optimism", "corrected", "low", "high"]
INCLUSION = ["variable", "frequency", "selected"]
PAIRS = ["variable", "other", "together", "by_chance"]
INSTABILITY = ["group", "n", "risk", "difference", "low", "high"]

_SAID_EVERY = 50  # resamples
_AT_LEAST = 10  # patients a group of like risk: fewer would show single ones

Rows = npt.NDArray[np.int64]


class _Model(Protocol):
    """A fitted model of named terms."""

    @property
    def terms(self) -> dict[str, float]: ...
    def score(self, patients: pd.DataFrame) -> checks.Floats: ...


Fitted = Callable[[pd.DataFrame], _Model]


@dataclass(frozen=True, kw_only=True)
class Bootstrapped:
    """
    What a bootstrap says of a fit; no row where nothing was bootstrapped.

    Parameters
    ----------
    optimism : pandas.DataFrame
        One row a metric (``auc``, ``calibration_slope``, ``brier``, ``scaled_brier``):
        ``model``, ``metric``, ``apparent`` (in the patients of the fit), ``optimism`` (the mean
        over the resamples of a figure in the resample less the same model's in the patients),
        ``corrected`` (apparent less optimism), ``low`` and ``high`` (percentiles of apparent
        less each resample's optimism). A slope that does not exist in a resample is left out.
    inclusion : pandas.DataFrame
        One row a candidate, the commonest first: ``variable``, ``frequency`` (share of the
        resamples that selected it), ``selected`` (whether the model itself did).
    pairs : pandas.DataFrame
        One row a pair of candidates: ``variable``, ``other``, ``together`` (share of the
        resamples that selected both), ``by_chance`` (the product of their frequencies).
    instability : pandas.DataFrame
        One row a group of patients of like risk, the lowest first: ``group``, ``n``, ``risk`` (by
        the model, the mean), ``difference`` (between a resample's risk of a patient and the
        model's: mean of its absolute value), ``low`` and ``high`` (2.5th and 97.5th percentile
        of a patient's risk over the resamples: means over the group).
    """

    optimism: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=OPTIMISM))
    inclusion: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=INCLUSION))
    pairs: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=PAIRS))
    instability: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=INSTABILITY))

    def write(self, here: Folder) -> None:
        """
        Nothing; a table each stands in the folder.

        Parameters
        ----------
        here : Folder
            The centre's results.
        """
        here.write(self.optimism, "optimism.csv")
        here.write(self.inclusion, "inclusion.csv")
        here.write(self.pairs, "pairs_of_factors.csv")
        here.write(self.instability, "instability.csv")


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """
    The models of all resamples.

    Parameters
    ----------
    figures : pandas.DataFrame
        One row a resample and metric: ``resample``, ``metric``, ``in_resample``,
        ``in_patients``.
    variables : tuple of frozenset of str
        By resample: what its model holds.
    risk : numpy.ndarray of float, shape (n_resamples, n_patients)
        Each model's risk of every patient.
    """

    figures: pd.DataFrame
    variables: tuple[frozenset[str], ...]
    risk: checks.Floats


def bootstrapped(
    patients: pd.DataFrame,
    outcome: str,
    fitted: Fitted,
    candidates: Sequence[str] = (),
    resamples: int = RESAMPLES,
    *,
    model: str = "cs",
    level: float = 0.95,
    seed: int,
) -> Bootstrapped:
    """
    How much too good a model's figures are in its own patients, and how stable the model is.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.
    outcome : str
        The outcome's column, known for everybody.
    fitted : callable
        From patients to their model, with all that is learnt or chosen on the way.
    candidates : sequence of str, optional
        What the fit chooses from; without them no inclusion is counted.
    resamples : int, default 200
        Of the patients. One that holds one class only is drawn again, and that is said.
    model : str, default "cs"
        The model's name.
    level : float, default 0.95
        Coverage of the intervals of the figures.
    seed : int
        Draws the resamples.

    Returns
    -------
    Bootstrapped
        Its tables.

    Raises
    ------
    InputError
        If there are fewer than 10 events or non-events: resamples of so few say nothing.

    References
    ----------
    .. [1] Harrell, Lee and Mark (1996), Statistics in Medicine 15:361-387 (optimism).
    .. [2] Heinze, Wallisch and Dunkler (2018), Biometrical Journal 60:431-449 (inclusion).
    .. [3] Riley and Collins (2023), Biometrical Journal 65:2200302 (instability).
    """
    checks.once(patients, [outcome])
    level, resamples = checks.inside("level", level), checks.whole("resamples", resamples, least=1)
    event = checks.outcomes(outcome, patients[outcome], both=True)
    if not enough(event):
        raise checks.InputError(
            f"{outcome} must hold at least {FEW_EVENTS} events and as many non-events for a "
            f"bootstrap; of {len(event)} patients {event.sum()} have the event. Print the apparent "
            f"figures as apparent."
        )
    own = fitted(patients)
    score = own.score(patients)
    found = resampled(patients, outcome, fitted, _draws(event, resamples, seed))
    return Bootstrapped(
        optimism=_optimism(figures(event, score), found.figures, level).assign(model=model)[
            OPTIMISM
        ],
        inclusion=_inclusion(candidates, found, variables_of(own.terms)),
        pairs=_pairs(candidates, found),
        instability=instability(special.expit(score), found.risk),
    )


def enough(event: checks.Bools) -> bool:
    """
    Whether there are as many events, and non-events, as a bootstrap needs.

    Parameters
    ----------
    event : numpy.ndarray of bool, shape (n_patients,)
        True where the event happened.

    Returns
    -------
    bool
        True from 10 of each.
    """
    event = checks.outcomes("event", event)
    return bool(min(event.sum(), (~event).sum()) >= FEW_EVENTS)


def resampled(
    patients: pd.DataFrame, outcome: str, fitted: Fitted, drawn: Sequence[Rows]
) -> Resampled:
    """
    The figures of the model fitted to each resample, there and in the patients themselves.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.
    outcome : str
        The outcome's column, known for everybody.
    fitted : callable
        From patients to their model.
    drawn : sequence of numpy.ndarray of int
        The rows of each resample, counted from 0.

    Returns
    -------
    Resampled
        In the order of the resamples.
    """
    event = checks.outcomes(outcome, checks.once(patients, [outcome])[outcome], both=True)
    known = cohort.with_derived(cohort.with_bands(patients))
    rows, variables, risk = [], [], np.empty((len(drawn), len(patients)))
    for place, chosen in enumerate(drawn):
        resample = known.iloc[chosen]
        model = fitted(resample)
        score = model.score(known)
        there = figures(event[chosen], model.score(resample))
        rows += [
            {"resample": place + 1, "metric": name, "in_resample": there[name], "in_patients": here}
            for name, here in figures(event, score).items()
        ]
        variables.append(frozenset(variables_of(model.terms)))
        risk[place] = special.expit(score)
        if (place + 1) % _SAID_EVERY == 0:
            progress.say(f"bootstrap: {place + 1} of {len(drawn)} resamples")
    return Resampled(figures=pd.DataFrame(rows), variables=tuple(variables), risk=risk)


def figures(event: checks.Bools, score: checks.Floats) -> dict[str, float]:
    """
    How well a model tells, and how far its risks agree.

    Parameters
    ----------
    event : numpy.ndarray of bool, shape (n_patients,)
        True where the event happened; both classes are there.
    score : numpy.ndarray of float, shape (n_patients,)
        Log odds of the event.

    Returns
    -------
    dict of str to float
        ``auc``, ``calibration_slope`` (missing where the score is constant or separates),
        ``brier``, ``scaled_brier``.
    """
    event, score = checks.outcomes("event", event, both=True), checks.numbers("score", score)
    checks.same_length(event=event, score=score)
    brier = float(np.mean((special.expit(score) - event) ** 2))
    return {
        "auc": discrimination.auc(event, score).auc,
        "calibration_slope": _slope(event, score),
        "brier": brier,
        "scaled_brier": 1 - brier / (event.mean() * (1 - event.mean())),
    }


def instability(risk: checks.Floats, resampled: checks.Floats) -> pd.DataFrame:
    """
    How far a patient's risk moves from resample to resample, in groups of like risk.

    Parameters
    ----------
    risk : numpy.ndarray of float, shape (n_patients,)
        By the model itself.
    resampled : numpy.ndarray of float, shape (n_resamples, n_patients)
        By the model of each resample.

    Returns
    -------
    pandas.DataFrame
        As in `Bootstrapped`: ten groups, or fewer so that each holds 10 patients.
    """
    risk = checks.probabilities("risk", risk)
    for each_of in resampled:
        checks.same_length(risk=risk, resampled=checks.probabilities("resampled", each_of))
    if not len(resampled):
        raise checks.InputError("resampled must hold at least one resample; it is empty.")
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    each = pd.DataFrame({"risk": risk, "low": low, "high": high})
    each["difference"] = np.abs(resampled - risk).mean(axis=0)
    groups = int(np.clip(len(risk) // _AT_LEAST, 1, 10))
    rank = each["risk"].rank(method="first").to_numpy() - 1
    by_group = each.groupby((rank * groups // len(risk)).astype(int) + 1)
    table = by_group.mean().assign(n=by_group.size())
    return table.rename_axis("group").reset_index()[INSTABILITY]


def _draws(event: checks.Bools, resamples: int, seed: int) -> list[Rows]:
    """The rows of each resample, all with both classes."""
    rng = np.random.default_rng(seed)
    drawn: list[Rows] = []
    again = 0
    while len(drawn) < resamples:
        rows = rng.integers(len(event), size=len(event))
        if 0 < event[rows].sum() < len(event):
            drawn.append(rows)
        else:
            again += 1
    if again:
        progress.say(f"bootstrap: {again} resample(s) held one class only and were drawn again")
    return drawn


def _slope(event: checks.Bools, score: checks.Floats) -> float:
    """The calibration slope, without the intervals and the curve that come with it elsewhere."""
    design = np.column_stack([np.ones(len(score)), score])
    fitted = logistic.maximum_likelihood(design, event)
    if fitted.rank < 2 or logistic.separated(design, event, fitted):
        return float("nan")
    return float(fitted.coefficients[1])


def _optimism(apparent: dict[str, float], each: pd.DataFrame, level: float) -> pd.DataFrame:
    """The figures of the fit, less what the resamples lose."""
    own = pd.Series(apparent)
    lost = (each["in_resample"] - each["in_patients"]).groupby(each["metric"], sort=False)
    found = {"apparent": own, "optimism": lost.mean(), "corrected": own - lost.mean()}
    found |= {"low": own - lost.quantile((1 + level) / 2)}
    found |= {"high": own - lost.quantile((1 - level) / 2)}
    return pd.DataFrame(found).rename_axis("metric").reset_index()


def _inclusion(candidates: Sequence[str], found: Resampled, own: set[str]) -> pd.DataFrame:
    """How often each candidate was selected."""
    rows = [(name, _share(found, name), name in own) for name in candidates]
    table = pd.DataFrame(rows, columns=INCLUSION)
    return table.sort_values("frequency", ascending=False, kind="stable", ignore_index=True)


def _pairs(candidates: Sequence[str], found: Resampled) -> pd.DataFrame:
    """How often two candidates were selected together."""
    return pd.DataFrame(_pair_rows(candidates, found), columns=PAIRS)


def _pair_rows(
    candidates: Sequence[str], found: Resampled
) -> Iterator[tuple[str, str, float, float]]:
    for one, other in combinations(candidates, 2):
        by_chance = _share(found, one) * _share(found, other)
        yield one, other, _share(found, one, other), by_chance


def _share(found: Resampled, *names: str) -> float:
    """Of the resamples whose model holds all of these."""
    return float(np.mean([held.issuperset(names) for held in found.variables]))
