"""Times to an event: curves, medians, comparisons, cumulative incidence, equal to R."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import intervals
from hcc_utils.evaluation.separation import separates

Labels = npt.NDArray[np.str_]
_HALF_TOLERANCE = np.finfo(float).eps ** 0.5  # R's own, for "the curve is exactly at one half"


@dataclass(frozen=True)
class LogRank:
    """A log-rank test: not a number where there is one group only, or no event."""

    statistic: float
    p_value: float
    df: int


def kaplan_meier(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """
    Kaplan-Meier curves with R's default interval (on the log scale, Greenwood's variance).

    Parameters
    ----------
    time : array_like of float, shape (n_patients,)
        Months to the event or to the end of follow-up.
    event : array_like of bool, shape (n_patients,)
        True where the event happened, False where follow-up ended without it.
    group : array_like, shape (n_patients,), optional
        A label a patient; one curve each, "all" where it is left out.
    level : float, default 0.95
        Of the interval.

    Returns
    -------
    pandas.DataFrame
        One row a group and distinct time, and one at 0: ``group``, ``months``, ``survival``,
        ``low``, ``high`` (missing where nobody survives, as in R; cut at 1), ``at_risk`` (just
        before that time).

    Raises
    ------
    InputError
        If a time is negative or missing, an event is neither, or lengths differ.

    References
    ----------
    .. [1] Therneau, R package survival: ``survfit0(survfit(Surv(time, event) ~ group))``.
    """
    months, happened, label = _patients(time, event, group)
    curves = [
        _curve(months[label == name], happened[label == name], level).assign(group=name)
        for name in np.unique(label)
    ]
    columns = ["group", "months", "survival", "low", "high", "at_risk"]
    return pd.concat(curves, ignore_index=True)[columns]


def median(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """
    Median times to the event, as R prints them.

    Where the curve is exactly one half over an interval, the median is the interval's midpoint.
    The limits are the times at which the curve's own limits reach one half.

    Parameters
    ----------
    time : array_like of float, shape (n_patients,)
        Months to the event or to the end of follow-up.
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    group : array_like, shape (n_patients,), optional
        A label a patient.
    level : float, default 0.95
        Of the interval.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``, ``n``, ``events``, ``median_months``, ``low``, ``high``;
        missing where the curve stays above one half.
    """
    months, happened, label = _patients(time, event, group)
    curves = kaplan_meier(months, happened, label, level)
    rows = [
        {
            "group": name,
            "n": int((label == name).sum()),
            "events": int(happened[label == name].sum()),
            "median_months": _half(curve["months"], curve["survival"]),
            "low": _half(curve["months"], curve["low"]),
            "high": _half(curve["months"], curve["high"]),
        }
        for name, curve in curves.groupby("group", sort=False)
    ]
    return pd.DataFrame(rows)


def logrank(time: npt.ArrayLike, event: npt.ArrayLike, group: npt.ArrayLike) -> LogRank:
    """
    Log-rank test between the groups.

    Parameters
    ----------
    time : array_like of float, shape (n_patients,)
        Months to the event or to the end of follow-up.
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    group : array_like, shape (n_patients,)
        A label a patient.

    Returns
    -------
    LogRank
        ``statistic`` (chi-square), ``p_value`` and ``df`` (groups minus 1); the first two are
        not a number where there is one group only, or no event.

    References
    ----------
    .. [1] R package survival: ``survdiff(Surv(time, event) ~ group)``.
    """
    from scipy.stats import chi2

    months, happened, label = _patients(time, event, group)
    names = np.unique(label)
    df = len(names) - 1
    if df == 0 or not happened.any():
        return LogRank(float("nan"), float("nan"), df)
    excess, covariance = _excess(months, happened, label[:, None] == names[:-1])
    statistic = float(excess @ np.linalg.pinv(covariance) @ excess)
    return LogRank(statistic, float(chi2.sf(statistic, df)), df)


def cox(time: npt.ArrayLike, event: npt.ArrayLike, covariates: pd.DataFrame) -> pd.DataFrame:
    """
    Hazard ratios of a Cox model (Efron's ties, Wald intervals and p-values).

    Parameters
    ----------
    time : array_like of float, shape (n_patients,)
        Months to the event or to the end of follow-up.
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    covariates : pandas.DataFrame
        One column of numbers or flags a term, one row a patient, in the same order.

    Returns
    -------
    pandas.DataFrame
        One row a term: ``term``, ``hazard_ratio``, ``low``, ``high``, ``p_value``, ``note``.
        Where no finite estimate exists, the numbers are missing and the note says why.

    References
    ----------
    .. [1] R package survival: ``coxph(Surv(time, event) ~ ..., ties = "efron")``.
    """
    from statsmodels.duration.hazard_regression import PHReg

    months, happened, _ = _patients(time, event, None)
    if checks.columns(covariates, [], name="covariates").empty:
        raise checks.InputError("covariates must hold at least one column and patient.")
    columns = [checks.numbers(str(name), column) for name, column in covariates.items()]
    checks.same_length(time=months, **{str(n): c for n, c in zip(covariates, columns, strict=True)})
    design = np.column_stack(columns)
    terms = [str(name) for name in covariates]
    note = _no_estimate(months, happened, design)
    if note:
        missing = dict.fromkeys(["hazard_ratio", "low", "high", "p_value"], float("nan"))
        return pd.DataFrame([{"term": term, **missing, "note": note} for term in terms])
    fit = PHReg(months, design, status=happened.astype(int), ties="efron").fit(disp=0)
    low, high = np.exp(fit.conf_int()).T
    found = {"hazard_ratio": np.exp(fit.params), "low": low, "high": high, "p_value": fit.pvalues}
    return pd.DataFrame({"term": terms, **found, "note": ""})


def cumulative_incidence(
    time: npt.ArrayLike,
    cause: npt.ArrayLike,
    group: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """
    Cumulative incidence of each cause with the other competing (Aalen-Johansen).

    Parameters
    ----------
    time : array_like of float, shape (n_patients,)
        Months to the first event of either kind, or to the end of follow-up.
    cause : array_like of int, shape (n_patients,)
        0 where follow-up ended without either, 1 for the event, 2 for the competing event.
    group : array_like, shape (n_patients,), optional
        A label a patient; one set of curves each.
    level : float, default 0.95
        Of the interval.

    Returns
    -------
    pandas.DataFrame
        One row a group, cause (1, 2) and distinct time, and one at 0: ``group``, ``months``,
        ``cause``, ``incidence``, ``variance`` (as cmprsk), ``low``, ``high`` (on the
        log(-log) scale; missing where the incidence is 0 or 1), ``at_risk``.

    Raises
    ------
    InputError
        If a cause is not 0, 1 or 2.

    References
    ----------
    .. [1] Gray, R package cmprsk: ``cuminc``.
    """
    kind = checks.causes("cause", cause)
    months, _, label = _patients(time, kind > 0, group)
    curves = [
        _incidence(months[label == name], kind[label == name], number, level).assign(group=name)
        for name in np.unique(label)
        for number in (1, 2)
    ]
    columns = ["group", "months", "cause", "incidence", "variance", "low", "high", "at_risk"]
    return pd.concat(curves, ignore_index=True)[columns]


def cause_from(patients: pd.DataFrame, outcome: str = "aggressive_pd") -> pd.DataFrame:
    """
    Time and cause of each patient's first event, death without the outcome competing.

    A patient without the outcome who died counts as a competing event in the month of death,
    even where the last visit was earlier; one alive is censored at the last visit.

    Parameters
    ----------
    patients : pandas.DataFrame
        The outcome, ``months_to_`` it, ``death`` and ``months_to_death``.
    outcome : str, default "aggressive_pd"
        The outcome's column.

    Returns
    -------
    pandas.DataFrame
        ``months`` and ``cause`` (0 censored, 1 outcome, 2 death without it), the patients' index.

    Raises
    ------
    InputError
        If a column is missing, a patient stands twice, or a time that counts is missing or
        negative.
    """
    months = f"months_to_{outcome}"
    checks.once(patients, [outcome, months, "death", "months_to_death"])
    happened = checks.outcomes(outcome, patients[outcome])
    died = checks.outcomes("death", patients["death"]) & ~happened
    until = checks.times(months, patients[months]).copy()
    # only the deaths that are counted need a time
    until[died] = checks.times("months_to_death", patients["months_to_death"][died])
    cause = np.select([happened, died], [1, 2], default=0)
    return pd.DataFrame({"months": until, "cause": cause}, index=patients.index)


def _patients(
    time: npt.ArrayLike, event: npt.ArrayLike, group: npt.ArrayLike | None
) -> tuple[checks.Floats, checks.Bools, Labels]:
    """Times, events and labels, checked."""
    months = checks.times("time", time)
    happened = checks.outcomes("event", event)
    known = pd.Series("all", index=range(len(months))) if group is None else pd.Series(group)
    if known.isna().any():
        raise checks.InputError(f"group must be known; {known.isna().sum()} of {len(known)} miss.")
    label: Labels = known.astype(str).to_numpy(dtype=np.str_)
    checks.same_length(time=months, event=happened, group=label)
    if len(months) == 0:
        raise checks.InputError("time must hold at least one patient; it holds none.")
    return months, happened, label


def _curve(months: checks.Floats, happened: checks.Bools, level: float) -> pd.DataFrame:
    """One group's curve, from 0 on."""
    at = np.unique(np.append(0.0, months))
    at_risk = (months[:, None] >= at).sum(axis=0)
    events = ((months[:, None] == at) & happened[:, None]).sum(axis=0)
    survival = np.cumprod(1 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):  # the last patient's event: variance inf
        se = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events))))
        width = intervals.quantile(level) * se
        low, high = survival * np.exp(-width), np.minimum(1, survival * np.exp(width))
    ended = survival == 0
    return pd.DataFrame(
        {
            "months": at,
            "survival": survival,
            "low": np.where(ended, np.nan, low),
            "high": np.where(ended, np.nan, high),
            "at_risk": at_risk,
        }
    )


def _half(months: pd.Series, curve: pd.Series) -> float:
    """The month in which a curve reaches one half, by R's midpoint rule."""
    below = (curve < 0.5 + _HALF_TOLERANCE).to_numpy()
    if not below.any():
        return float("nan")
    at, height = months.to_numpy()[below], curve.to_numpy()[below]
    lower = at[height < height[0]]
    if abs(height[0] - 0.5) < _HALF_TOLERANCE and len(lower):
        return float((at[0] + lower[0]) / 2)
    return float(at[0])


def _excess(
    months: checks.Floats, happened: checks.Bools, member: checks.Bools
) -> tuple[checks.Floats, checks.Floats]:
    """Observed minus expected events of each group but the last, and their covariance."""
    excess, covariance = np.zeros(member.shape[1]), np.zeros((member.shape[1],) * 2)
    for at in np.unique(months[happened]):
        risk_set = months >= at
        n, d = risk_set.sum(), (happened & (months == at)).sum()
        share = member[risk_set].mean(axis=0)
        excess += member[happened & (months == at)].sum(axis=0) - d * share
        # hypergeometric: nothing varies once a single patient is left
        spread = d * (n - d) / max(n - 1, 1)
        covariance += spread * (np.diag(share) - np.outer(share, share))
    return excess, covariance


def _no_estimate(months: checks.Floats, happened: checks.Bools, design: checks.Floats) -> str:
    """Why a Cox model has no finite estimate, or nothing where it has one."""
    if not happened.any():
        return "no event: no estimate"
    # a partial likelihood sees nothing but differences within the sets at risk
    at_risk = [design[i] - design[months >= months[i]] for i in np.flatnonzero(happened)]
    contrasts = np.concatenate(at_risk)
    if np.linalg.matrix_rank(contrasts) < design.shape[1]:
        return "a covariate is constant among those at risk, or repeats others: no estimate"
    if separates(contrasts):
        return "the covariates order the events perfectly: no finite estimate"
    return ""


def _incidence(
    months: checks.Floats, cause: checks.Floats, number: int, level: float
) -> pd.DataFrame:
    """One group's cumulative incidence of one cause, from 0 on."""
    at = np.unique(np.append(0.0, months))
    at_risk = (months[:, None] >= at).sum(axis=0)
    own = ((months[:, None] == at) & (cause == number)[:, None]).sum(axis=0)
    other = ((months[:, None] == at) & (cause == 3 - number)[:, None]).sum(axis=0)
    free = np.cumprod(1 - (own + other) / at_risk)
    before = np.append(1.0, free[:-1])
    incidence = np.cumsum(before * own / at_risk)
    variance = _incidence_variance(at_risk, own, other, free, incidence)
    within = (incidence > 0) & (incidence < 1 - 1e-12)  # sums to 1 but for rounding: no interval
    share = incidence[within]
    width = intervals.quantile(level) * np.sqrt(variance[within]) / (share * np.log(share))
    low, high = np.full(len(at), np.nan), np.full(len(at), np.nan)
    low[within], high[within] = share ** np.exp(-width), share ** np.exp(width)
    return pd.DataFrame(
        {
            "months": at,
            "cause": number,
            "incidence": incidence,
            "variance": variance,
            "low": low,
            "high": high,
            "at_risk": at_risk,
        }
    )


def _incidence_variance(
    at_risk: npt.NDArray[np.int64],
    own: npt.NDArray[np.int64],
    other: npt.NDArray[np.int64],
    free: checks.Floats,
    incidence: checks.Floats,
) -> checks.Floats:
    """The variance that cmprsk gives: Aalen's, each tie as drawn without replacement."""
    before = np.append(1.0, free[:-1])
    inverse = np.divide(1.0, free, out=np.zeros_like(free), where=free > 0)

    def sums(events: npt.NDArray[np.int64], reach: checks.Floats) -> list[checks.Floats]:
        """Running sums of the squared, mixed and constant parts of one cause's noise."""
        tied = 1 - np.maximum(events - 1, 0) / np.maximum(at_risk - 1, 1)
        noise = before**2 * tied * events / at_risk**2
        return [np.cumsum(part * noise) for part in (reach**2, reach * inverse, inverse**2)]

    mine = sums(own, 1 + incidence * inverse)
    theirs = sums(other, incidence * inverse)
    squared, mixed, constant = (a + b for a, b in zip(mine, theirs, strict=True))
    return squared + incidence**2 * constant - 2 * incidence * mixed
