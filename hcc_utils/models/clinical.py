"""Model CS: from clinical and semantic factors to a risk, as published and as developed anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import intervals
from hcc_utils.models import logistic
from hcc_utils.study import cohort, published, vocabulary
from hcc_utils.study.recorded import recorded
from hcc_utils.study.scores import Scores

_LEFT_OUT = ("largest_nodule_mm", "ecog", "afp_ng_ml")  # the paper has none of the first two
CANDIDATES: tuple[str, ...] = (
    *(name for name in vocabulary.BASELINE if name not in _LEFT_OUT),
    "afp_band",  # in the paper's bands: its raw values span six powers of ten
)
_DERIVED = {"afp_band", "lesion_band", *vocabulary.DERIVED}
FEW_EVENTS = 10  # of either class: below it nothing is tested
_SEPARATED = "separated: these factors tell events from non-events perfectly, in whole or in part"
_EQUAL = 1e-9  # of an AIC: rounding must not choose between variables that tell the same
_INSTEAD = {True: "Firth's penalised estimates", False: "no finite estimates"}


@dataclass(frozen=True)
class Imputer:
    """
    What stands in for a missing value: learnt once, frozen, and blind to the outcome.

    Parameters
    ----------
    values : dict of str to float, bool or str
        By variable: the median of a number, the commonest value of a flag or level.
    levels : dict of str to tuple of str
        By nominal or ordinal variable: the levels that were seen. Another is taken as missing.
    """

    values: dict[str, float | bool | str] = field(default_factory=dict)
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def learn(cls, patients: pd.DataFrame, columns: Iterable[str]) -> Imputer:
        """
        The imputer of these patients, to be learnt on training rows alone.

        Parameters
        ----------
        patients : pandas.DataFrame
            One row a patient.
        columns : iterable of str
            The variables; bands and derived factors, such as ``afp_band``, are made from what
            was recorded. One that is missing for everybody is left out.

        Returns
        -------
        Imputer
            Frozen.
        """
        names = list(columns)
        recorded(checks.columns(patients, [], name="patients"), names)
        table = checks.columns(_derived(patients, names), names, name="patients")
        known = {name: table[name].dropna() for name in names if table[name].notna().any()}
        levels = {name: _levels(name, v) for name, v in known.items() if _kind(name, v) == "level"}
        return cls({name: _typical(name, v) for name, v in known.items()}, levels)

    def apply(self, patients: pd.DataFrame) -> pd.DataFrame:
        """
        The patients with every variable of this imputer complete.

        Parameters
        ----------
        patients : pandas.DataFrame
            One row a patient.

        Returns
        -------
        pandas.DataFrame
            A copy; other columns are as they were.
        """
        table = checks.columns(_derived(patients, self.values), self.values, name="patients")
        known = {name: self._known(table, name).fillna(v) for name, v in self.values.items()}
        return table.assign(**known)

    def complete(self, patients: pd.DataFrame) -> checks.Bools:
        """
        Whether `apply` has nothing to fill in.

        Parameters
        ----------
        patients : pandas.DataFrame
            One row a patient.

        Returns
        -------
        numpy.ndarray of bool, shape (n_patients,)
            False where a variable is missing, or has a level that was not seen.
        """
        table = checks.columns(_derived(patients, self.values), self.values, name="patients")
        known: checks.Bools = np.ones(len(table), dtype=bool)
        for name in self.values:
            known &= self._known(table, name).notna().to_numpy()
        return known

    def filled(self, patients: pd.DataFrame) -> pd.DataFrame:
        """
        How many values `apply` fills in, and with what.

        Parameters
        ----------
        patients : pandas.DataFrame
            One row a patient.

        Returns
        -------
        pandas.DataFrame
            One row a variable: ``variable``, ``missing``, ``unseen`` (a level that the training
            rows did not hold), ``value``.
        """
        table = checks.columns(_derived(patients, self.values), self.values, name="patients")
        rows = [
            {
                "variable": name,
                "missing": int(table[name].isna().sum()),
                "unseen": int((self._known(table, name).isna() & table[name].notna()).sum()),
                "value": value,
            }
            for name, value in self.values.items()
        ]
        return pd.DataFrame(rows, columns=["variable", "missing", "unseen", "value"])

    def only(self, columns: Iterable[str]) -> Imputer:
        """
        The same imputer for fewer variables.

        Parameters
        ----------
        columns : iterable of str
            Those to keep.

        Returns
        -------
        Imputer
            Frozen.
        """
        kept = set(columns)
        return Imputer(
            {name: value for name, value in self.values.items() if name in kept},
            {name: seen for name, seen in self.levels.items() if name in kept},
        )

    def _known(self, table: pd.DataFrame, name: str) -> pd.Series:
        """The variable in its own type, missing where the model cannot use it."""
        if name in self.levels:
            return table[name].where(table[name].isin(self.levels[name])).astype(object)
        flag = isinstance(self.values[name], bool)
        (checks.outcomes if flag else checks.numbers)(name, table[name].dropna())
        return table[name].astype("boolean" if flag else "float64")


@dataclass(frozen=True)
class ClinicalModel:
    """
    A frozen logistic model of clinical and semantic factors.

    Parameters
    ----------
    intercept : float
        The log odds where every term is 0.
    terms : dict of str to float
        Log odds per unit, as ``diameter_mm`` or, for a level, ``capsule[intact]``.
    imputer : Imputer
        What fills missing values; an empty one refuses them.
    standard_errors : dict of str to float
        By term, and of the "intercept".
    note : str
        What a reader must know of how the model came about, or nothing.
    """

    intercept: float
    terms: dict[str, float]
    imputer: Imputer = field(default_factory=Imputer)
    standard_errors: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def score(self, patients: pd.DataFrame) -> checks.Floats:
        """
        The linear predictor: the log odds of the event.

        Parameters
        ----------
        patients : pandas.DataFrame
            One row a patient, in the vocabulary's columns.

        Returns
        -------
        numpy.ndarray of float, shape (n_patients,)
            Higher is worse.

        Raises
        ------
        InputError
            If a predictor is missing and the model has nothing to put in its place.
        """
        return np.asarray(self.design(patients) @ [self.intercept, *self.terms.values()])

    def design(self, patients: pd.DataFrame) -> checks.Floats:
        """
        What the coefficients are multiplied with.

        Parameters
        ----------
        patients : pandas.DataFrame
            One row a patient, in the vocabulary's columns.

        Returns
        -------
        numpy.ndarray of float, shape (n_patients, 1 + n_terms)
            A column of ones and one a term.

        Raises
        ------
        InputError
            As from `score`.
        """
        variables = variables_of(self.terms)
        needed = _derived(patients, variables).filter(sorted(variables))
        complete = self.imputer.apply(needed)
        _require_known(complete, variables)
        return _columns(complete, list(self.terms))

    def risk(self, patients: pd.DataFrame) -> checks.Floats:
        """
        The probability of the event.

        Parameters
        ----------
        patients : pandas.DataFrame
            One row a patient.

        Returns
        -------
        numpy.ndarray of float, shape (n_patients,)
            In [0, 1], higher is worse.
        """
        return np.asarray(1 / (1 + np.exp(-self.score(patients))))

    def wald(self, level: float = 0.95) -> pd.DataFrame:
        """
        The coefficients with their Wald tests.

        After a selection these intervals are too narrow and these p-values too small.

        Parameters
        ----------
        level : float, default 0.95
            Of the intervals.

        Returns
        -------
        pandas.DataFrame
            One row a term, the intercept first: ``term``, ``coefficient``, ``se``,
            ``odds_ratio``, ``low``, ``high`` (of the odds ratio), ``z``, ``p_value``.
        """
        from scipy.stats import norm

        table = pd.DataFrame(
            [("intercept", self.intercept), *self.terms.items()], columns=["term", "coefficient"]
        )
        table["se"] = table["term"].map(self.standard_errors).astype(float)
        reach = intervals.quantile(level) * table["se"]
        table["odds_ratio"] = np.exp(table["coefficient"])
        table["low"] = np.exp(table["coefficient"] - reach)
        table["high"] = np.exp(table["coefficient"] + reach)
        table["z"] = table["coefficient"] / table["se"]
        table["p_value"] = 2 * norm.sf(np.abs(table["z"]))
        return table

    def to_dict(self) -> dict[str, Any]:
        """
        The model in what JSON can hold.

        Returns
        -------
        dict
            For `from_dict`.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> ClinicalModel:
        """
        The model that `to_dict` wrote.

        Parameters
        ----------
        content : dict
            As JSON gave it back.

        Returns
        -------
        ClinicalModel
            Equal to the one that was written.
        """
        imputer = content["imputer"]
        levels = {name: tuple(seen) for name, seen in imputer["levels"].items()}
        return cls(**{**content, "imputer": Imputer(imputer["values"], levels)})


class _Scoring(Protocol):
    """Whatever gives patients a linear predictor."""

    def score(self, patients: pd.DataFrame) -> checks.Floats: ...


@dataclass(frozen=True)
class StepAic:
    """
    Where a stepwise selection ended, and how it got there.

    Parameters
    ----------
    selected : tuple of str
        The variables of the last model, in its order.
    path : pandas.DataFrame
        One row a model: ``step`` (empty, "- sex", "+ age_years") and ``aic``.
    coefficients : pandas.Series
        Of the last model by term, "intercept" first; missing where `note` says separated.
    aic : float
        Of the last model.
    n : int
        Complete cases, on which every model of the path was fitted.
    note : str
        Why the coefficients are missing, that there are too few events, or nothing.
    """

    selected: tuple[str, ...]
    path: pd.DataFrame
    coefficients: pd.Series
    aic: float
    n: int
    note: str


PUBLISHED = ClinicalModel(
    published.MODEL_CS_INTERCEPT,
    published.MODEL_CS_TERMS,
    note="as printed: coefficients without standard errors, no rule for missing values",
)


def published_score(patients: pd.DataFrame) -> checks.Floats:
    """
    The score of Model CS by the paper's formula.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient: ``diameter_mm``, ``cirrhosis``, ``fusion_lesion``, ``capsule``,
        ``nodule_in_nodule``, all known.

    Returns
    -------
    numpy.ndarray of float, shape (n_patients,)
        The linear predictor, higher is worse.

    Raises
    ------
    InputError
        If one of the five is missing.
    """
    return PUBLISHED.score(patients)


def screen(patients: pd.DataFrame, outcome: str, candidates: Sequence[str]) -> pd.DataFrame:
    """
    Each candidate alone against the outcome, by likelihood-ratio test.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.
    outcome : str
        The outcome's column.
    candidates : sequence of str
        Variables; one of several levels is tested as a whole.

    Returns
    -------
    pandas.DataFrame
        One row a candidate: ``variable``, ``n`` (patients in whom it is known), ``df``,
        ``p_value``, ``note`` ("constant": no test; or "separated": the test stands, an odds ratio
        would not).
    """
    table = _derived(patients, candidates)
    _require_usable(table, outcome, candidates)
    rows = [_screened(table, outcome, name) for name in candidates]
    return pd.DataFrame(rows, columns=["variable", "n", "df", "p_value", "note"])


def step_aic(
    patients: pd.DataFrame, outcome: str, candidates: Sequence[str], direction: str = "both"
) -> StepAic:
    """
    The logistic model at which a stepwise search by AIC ends, as R's ``MASS::stepAIC``.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient; those with a missing value in any candidate are left out first.
    outcome : str
        The outcome's column.
    candidates : sequence of str
        Variables; one of several levels enters and leaves as a whole. An interaction is written
        ``diameter_mm:capsule``, its variables being candidates too: it enters after them, and
        none of them leaves before it.
    direction : str, default "both"
        ``both`` and ``backward`` start from all candidates, ``forward`` from none.

    Returns
    -------
    StepAic
        ``selected``, ``path``, ``coefficients``, ``aic``, ``n``, ``note``. Of steps to the same
        AIC the first is taken: variables leave before others enter, in the candidates' order.

    References
    ----------
    .. [1] Venables and Ripley (2002), Modern Applied Statistics with S, section 6.8.
    """
    checks.one_of("direction", direction, ("both", "backward", "forward"))
    candidates = _by_order(candidates)
    needed = [outcome, *sorted(variables_of(candidates))]
    table = _derived(patients, needed)
    _require_usable(table, outcome, needed[1:])
    rows = table[needed].dropna()
    event = checks.outcomes(outcome, rows[outcome], both=True)
    parts = {name: design(rows, [name])[1][:, 1:] for name in candidates}
    ones = np.ones((len(rows), 1))

    def fitted(names: Sequence[str]) -> logistic.Fit:
        """The model of these variables."""
        return logistic.maximum_likelihood(np.hstack([ones, *(parts[n] for n in names)]), event)

    selected = [] if direction == "forward" else candidates
    now = fitted(selected)
    path = [{"step": "", "aic": now.aic}]
    while True:
        step = _next_step(selected, candidates, fitted, now, direction)
        trial = _taken(selected, step)
        fit = fitted(trial) if step else now
        # R's own guard: dropping a repeated column may change the AIC by a rounding error
        if not step or fit.aic >= now.aic + 1e-7:
            break
        selected, now = trial, fit
        path.append({"step": step, "aic": now.aic})
    last = _estimated(rows, event, selected, penalise=False)
    names = ["intercept", *last.terms]
    values = [last.intercept, *last.terms.values()]
    return StepAic(
        tuple(selected), pd.DataFrame(path), pd.Series(values, names), now.aic, len(rows), last.note
    )


def fit(
    patients: pd.DataFrame,
    outcome: str = "aggressive_pd",
    candidates: Sequence[str] | None = None,
    p_below: float = 0.1,
) -> ClinicalModel:
    """
    Model CS developed on these patients: impute, screen, select by AIC, fit together.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, all of them training rows.
    outcome : str, default "aggressive_pd"
        The outcome's column, known for everybody.
    candidates : sequence of str, optional
        Variables to choose from; those of `CANDIDATES` that the table has, where left out.
    p_below : float, default 0.1
        A candidate goes on to the selection if its likelihood-ratio p-value is below it.

    Returns
    -------
    ClinicalModel
        Its note says where nothing was selected (the intercept alone), where the factors
        separate the outcome (Firth's penalised estimates, since plain ones would be infinite),
        and where there are fewer than 10 events or non-events (no standard errors, so no test).
    """
    table = _derived(patients, CANDIDATES)
    chosen = candidates_in(table) if candidates is None else list(candidates)
    p_below = checks.number("p_below", p_below, least=0)
    _require_usable(table, outcome, chosen)
    table = table[[outcome, *dict.fromkeys(chosen)]]
    event = checks.outcomes(outcome, table[outcome], both=True)
    imputer = Imputer.learn(table, chosen)
    complete = imputer.apply(table)
    screened = screen(complete, outcome, list(imputer.values))
    kept = screened.loc[screened["p_value"] < p_below, "variable"].tolist()
    selected = step_aic(complete, outcome, kept).selected
    model = _estimated(complete, event, selected, penalise=True)
    return ClinicalModel(
        model.intercept,
        model.terms,
        imputer.only(variables_of(model.terms)),
        model.standard_errors,
        model.note,
    )


def candidates_in(patients: pd.DataFrame) -> list[str]:
    """
    The candidates of Model CS that these patients have.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.

    Returns
    -------
    list of str
        In the order of `CANDIDATES`; none that is missing for everybody.
    """
    table = _derived(patients, CANDIDATES)
    return [name for name in CANDIDATES if name in table and table[name].notna().any()]


def cross_fit(
    patients: pd.DataFrame,
    fold: npt.ArrayLike,
    outcome: str = "aggressive_pd",
    candidates: Sequence[str] | None = None,
    p_below: float = 0.1,
) -> Scores:
    """
    Out-of-fold scores of Model CS: everything, the selection too, is repeated without each fold.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, with ``patient_id``, ``centre`` and the outcome.
    fold : array_like of int, shape (n_patients,)
        The fold in which each patient is left out.
    outcome : str, default "aggressive_pd"
        The outcome's column.
    candidates : sequence of str, optional
        As in `fit`.
    p_below : float, default 0.1
        As in `fit`.

    Returns
    -------
    Scores
        Model ``cs``, origin ``out_of_fold``; the score is the linear predictor.

    Raises
    ------
    InputError
        If there is one fold only, or a training part holds one class only.
    """
    score = left_out_scores(
        patients, fold, lambda training: fit(training, outcome, candidates, p_below)
    )
    return Scores.of(
        patients,
        model="cs",
        origin="out_of_fold",
        score=score,
        risk=1 / (1 + np.exp(-score)),
        fold=fold,
        event=outcome,
    )


def left_out_scores(
    patients: pd.DataFrame,
    fold: npt.ArrayLike,
    fitted: Callable[[pd.DataFrame], _Scoring],
) -> checks.Floats:
    """
    Each patient's score by the model of the patients in the other folds.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.
    fold : array_like of int, shape (n_patients,)
        The fold in which each patient is left out.
    fitted : callable
        From training rows to their model; everything that is learnt is learnt there.

    Returns
    -------
    numpy.ndarray of float, shape (n_patients,)
        Linear predictors.

    Raises
    ------
    InputError
        If there is one fold only, or a patient stands twice.
    """
    checks.once(patients, [])
    folds = checks.numbers("fold", fold).astype(int)
    checks.same_length(patients=patients.index, fold=folds)
    if len(np.unique(folds)) < 2:
        raise checks.InputError("fold must name at least two folds: nobody is left out by one.")
    score = np.empty(len(patients))
    for left_out in np.unique(folds):
        score[folds == left_out] = fitted(patients[folds != left_out]).score(
            patients[folds == left_out]
        )
    return score


def design(patients: pd.DataFrame, variables: Iterable[str]) -> tuple[list[str], checks.Floats]:
    """
    The terms of these variables, and a design of one column each behind a column of ones.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, every variable known.
    variables : iterable of str
        One of several levels has a term for each but the reference.

    Returns
    -------
    terms : list of str
        Such as ``diameter_mm`` and ``capsule[intact]``.
    columns : numpy.ndarray of float, shape (n_patients, 1 + n_terms)
        Numbers as they are; flags and levels as 0 and 1.
    """
    variables = list(variables)
    checks.columns(patients, variables_of(variables), name="patients")
    terms = [term for name in variables for term in _terms(patients, name)]
    return terms, _columns(patients, terms)


def variables_of(terms: Iterable[str]) -> set[str]:
    """
    The variables behind terms or candidates.

    Parameters
    ----------
    terms : iterable of str
        Such as ``capsule[intact]`` or ``diameter_mm:cirrhosis``.

    Returns
    -------
    set of str
        Such as ``capsule``, ``diameter_mm`` and ``cirrhosis``.
    """
    return {part.partition("[")[0] for term in terms for part in term.split(":")}


def _require_usable(patients: pd.DataFrame, outcome: str, candidates: Sequence[str]) -> None:
    """Refuse a table that lacks a column or records what none can mean, and a circular model."""
    checks.columns(patients, [outcome, *candidates], name="patients")
    recorded(patients, candidates)
    if outcome in candidates:
        raise checks.InputError(f"candidates hold the outcome {outcome!r} itself. Leave it out.")


def _derived(patients: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """The patients, with the bands and derived factors that are asked for and not there yet."""
    checks.columns(patients, [], name="patients")
    missing = set(columns) & _DERIVED - set(patients.columns)
    if not missing:
        return patients
    made = cohort.with_derived(cohort.with_bands(patients))
    return patients.assign(**{name: made[name] for name in sorted(missing) if name in made})


def _kind(name: str, values: pd.Series) -> str:
    """Whether a variable is a number, a flag or has levels: by vocabulary, else by its type."""
    if name in vocabulary.VARIABLES:
        kind = vocabulary.VARIABLES[name].kind
        return kind if kind in ("number", "flag") else "level"
    if pd.api.types.is_bool_dtype(values):
        return "flag"
    return "number" if pd.api.types.is_numeric_dtype(values) else "level"


def _levels(name: str, values: pd.Series) -> tuple[str, ...]:
    """The levels present, in the vocabulary's order; the first is the reference."""
    present = set(values.dropna().unique())
    order = vocabulary.VARIABLES[name].levels if name in vocabulary.VARIABLES else ()
    if name == "afp_band":
        order = tuple(band for band, _ in vocabulary.AFP_BANDS)
    known = tuple(level for level in order if level in present)
    return known + tuple(sorted(present - set(known)))


def _typical(name: str, values: pd.Series) -> float | bool | str:
    """The median of a number; the commonest value of another, the first of equals."""
    kind = _kind(name, values)
    if kind == "number":
        return float(np.median(checks.numbers(name, values)))
    if kind == "flag":
        return bool(checks.outcomes(name, values).mean() > 0.5)
    counts = values.value_counts()
    return max(_levels(name, values), key=lambda level: int(counts[level]))


def _terms(patients: pd.DataFrame, name: str) -> list[str]:
    """The terms of a variable: itself, or each level but the reference; of an interaction, all."""
    of_each = [_own_terms(part, patients[part]) for part in name.split(":")]
    # as R: the levels of the first variable change fastest
    return [":".join(reversed(parts)) for parts in product(*reversed(of_each))]


def _own_terms(name: str, values: pd.Series) -> list[str]:
    """The terms of one variable."""
    if _kind(name, values) != "level":
        return [name]
    return [f"{name}[{level}]" for level in _levels(name, values)[1:]]


def _columns(patients: pd.DataFrame, terms: Sequence[str]) -> checks.Floats:
    """A column of ones and one a term; an interaction's is the product of its parts."""
    columns = [np.ones(len(patients))]
    for term in terms:
        parts = [_column(patients, part) for part in term.split(":")]
        columns.append(np.prod(parts, axis=0))
    return np.column_stack(columns)


def _column(patients: pd.DataFrame, part: str) -> checks.Floats:
    """A number as it is, a flag or a level as 0 and 1."""
    name, _, level = part.partition("[")
    return checks.numbers(name, patients[name] == level[:-1] if level else patients[name])


def _require_known(patients: pd.DataFrame, variables: set[str]) -> None:
    """Refuse a missing predictor, or a level that no model can know."""
    needed = sorted(variables)
    checks.columns(patients, needed, name="patients")
    for name in needed:
        known = patients[name].notna()
        levels = vocabulary.VARIABLES[name].levels if name in vocabulary.VARIABLES else ()
        if vocabulary.is_flag(name):
            checks.outcomes(name, patients[name].dropna())
        if levels:
            known &= patients[name].isin(levels)
        if not known.all():
            row = int(np.flatnonzero(~known)[0])
            rule = f"one of {', '.join(levels)}" if levels else "known"
            raise checks.InputError(
                f"{name} must be {rule} for this score; it is not for {(~known).sum()} of "
                f"{len(known)} patients, first at row {row}. Leave them out, or score with a "
                f"model that was developed here and imputes."
            )


def _screened(table: pd.DataFrame, outcome: str, name: str) -> dict[str, object]:
    """One candidate's row."""
    from scipy.stats import chi2

    known = table[name].notna() & table[outcome].notna()
    rows = table if known.all() else table[known]
    row: dict[str, object] = {"variable": name, "n": len(rows), "df": 0, "p_value": np.nan}
    event = checks.outcomes(outcome, rows[outcome])
    _, columns = design(rows, [name])
    if len(rows) == 0 or event.all() or not event.any():
        return {**row, "note": "constant"}
    alone = logistic.maximum_likelihood(columns, event)
    if alone.rank == 1:
        return {**row, "note": "constant"}
    p_value = float(chi2.sf(logistic.null_deviance(event) - alone.deviance, alone.rank - 1))
    note = "separated" if logistic.separated(columns, event, alone) else ""
    return {**row, "df": alone.rank - 1, "p_value": p_value, "note": note}


def _next_step(
    selected: list[str],
    candidates: list[str],
    fitted: Any,
    now: logistic.Fit,
    direction: str,
) -> str:
    """The change that lowers the AIC most ("- sex", "+ age_years"), or nothing."""
    trials: dict[str, logistic.Fit] = {}
    if direction != "forward":
        free = [name for name in selected if not any(_within(name, other) for other in selected)]
        trials = {f"- {name}": fitted(_taken(selected, f"- {name}")) for name in free}
        empty = [step for step, fit in trials.items() if fit.rank == now.rank]
        if empty:  # as R: a variable that adds nothing goes first, the last of them
            return empty[-1]
    if direction != "backward":
        others = [name for name in candidates if name not in selected]
        ready = [n for n in others if not any(_within(other, n) for other in others)]
        trials |= {f"+ {name}": fitted(_taken(selected, f"+ {name}")) for name in ready}
    trials = {step: fit for step, fit in trials.items() if fit.rank != now.rank}
    least = min((fit.aic for fit in trials.values()), default=np.inf)
    if least >= now.aic:
        return ""
    return next(step for step, fit in trials.items() if fit.aic <= least + _EQUAL)


def _taken(selected: list[str], step: str) -> list[str]:
    """The variables after a step; one that enters comes last, but before higher interactions."""
    name = step[2:]
    if step.startswith("+"):
        return sorted([*selected, name], key=_order)
    return [other for other in selected if other != name]


def _order(name: str) -> int:
    """How many variables interact in a candidate, less one."""
    return name.count(":")


def _within(name: str, other: str) -> bool:
    """Whether a candidate is marginal to an interaction."""
    return set(name.split(":")) < set(other.split(":"))


def _by_order(candidates: Sequence[str]) -> list[str]:
    """The candidates once each, interactions last, none without its own variables."""
    names = sorted(dict.fromkeys(candidates), key=_order)
    for name in names:
        lacking = sorted(variables_of([name]).difference(names))
        if lacking:
            raise checks.InputError(
                f"candidates hold {name!r} but not {', '.join(map(repr, lacking))}: an interaction "
                f"needs its own variables among them. Add them."
            )
    return names


def _estimated(
    rows: pd.DataFrame, event: checks.Bools, selected: Sequence[str], *, penalise: bool
) -> ClinicalModel:
    """The selected variables fitted together; a column that repeats others is left out, as in R."""
    terms, columns = design(rows, selected)
    kept = logistic.independent(columns)
    columns, terms = columns[:, kept], [terms[column - 1] for column in kept[1:]]
    fitted, said = logistic.maximum_likelihood(columns, event), []
    values = fitted.coefficients
    if logistic.separated(columns, event, fitted):
        said.append(f"{_SEPARATED}; {_INSTEAD[penalise]}")
        fitted = logistic.firth(columns, event) if penalise else fitted
        values = fitted.coefficients if penalise else np.full(len(kept), np.nan)
    elif not terms:
        said.append("no factor was selected: the intercept alone")
    fewer = min(event.sum(), (~event).sum())
    if fewer < FEW_EVENTS:
        said.append(f"only {fewer} events or non-events: too few for any test")
    tested = not np.isnan(values).any() and fewer >= FEW_EVENTS
    names = ["intercept", *terms]
    errors = dict(zip(names, fitted.standard_errors.tolist(), strict=True)) if tested else {}
    estimates = dict(zip(terms, values[1:].tolist(), strict=True))
    return ClinicalModel(float(values[0]), estimates, Imputer(), errors, "; ".join(said))
