"""Scores that carry their origin: where a score came from decides what it may be used for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hcc_utils import checks
from hcc_utils.study import results, vocabulary

ORIGINS: tuple[str, ...] = (
    "apparent",
    "stacked",
    "tuned",
    "out_of_fold",
    "external",
    "demonstration",  # of a model that was made for something else: it may not be judged
)
PROTOCOLS: tuple[str, ...] = ("leak_free", "as_published")
COLUMNS: tuple[str, ...] = (
    "patient_id",
    "centre",
    "model",
    "protocol",
    "origin",
    "fold",
    "horizon_months",
    "score",
    "risk",
    "event",
)
_KEY = ["patient_id", "model", "protocol", "origin", "horizon_months"]
_TYPES: dict[str, object] = {
    "patient_id": str,
    "centre": str,
    "fold": "Int64",
    "horizon_months": "Int64",
}

_REMEDY = {
    "apparent": "score the patients out of fold (models.training.cross_fit, models.clinical)",
    "stacked": "turn on the nested loop (profile full) or use external patients",
    "tuned": "keep the validation centres out of every choice (protocol leak_free)",
    "out_of_fold": "score patients of another centre with the frozen bundle",
    "demonstration": "train the model on this study's own patients, for its own endpoint",
    "external": "use development patients' out-of-fold scores: validation centres fit nothing",
}


@dataclass(frozen=True)
class Scores:
    """
    One row a patient, model and protocol, each with the origin of its score.

    Parameters
    ----------
    table : pandas.DataFrame
        The columns of ``scores.csv``: ``patient_id``, ``centre``, ``model`` (cs, d, csd,
        clinical), ``protocol``, ``origin``, ``fold``, ``horizon_months`` (missing = ever),
        ``score``, ``risk`` (a probability, higher is worse) and ``event`` (True where it
        happened; by the horizon, where there is one, and then missing where that is not known).

    Raises
    ------
    InputError
        If a column is missing, a word is unknown, a risk is no probability or a row stands twice.
    """

    table: pd.DataFrame

    def __post_init__(self) -> None:
        """Refuse a table that no run could mean."""
        checks.columns(self.table, COLUMNS, name="scores")
        for column, allowed in (
            ("model", tuple(vocabulary.MODELS)),
            ("protocol", PROTOCOLS),
            ("origin", ORIGINS),
        ):
            for value in self.table[column].unique():
                checks.one_of(column, str(value), allowed)
        checks.numbers("score", self.table["score"])
        checks.probabilities("risk", self.table["risk"])
        unknown = self.table["event"].isna() & self.table["horizon_months"].notna()
        checks.outcomes("event", self.table["event"][~unknown])
        twice = self.table[self.table.duplicated(_KEY)]
        if len(twice):
            raise checks.InputError(
                f"scores must hold a patient once for each model, protocol and origin; "
                f"{len(twice)} row(s) repeat, first patient {twice['patient_id'].iloc[0]!r}."
            )

    @classmethod
    def of(
        cls,
        patients: pd.DataFrame,
        *,
        model: str,
        origin: str,
        score: object,
        risk: object,
        fold: object = None,
        event: str = "aggressive_pd",
        protocol: str = "leak_free",
        horizon_months: int | None = None,
    ) -> Scores:
        """
        Scores of one model for these patients.

        Parameters
        ----------
        patients : pandas.DataFrame
            One row a patient, with ``patient_id``, ``centre`` and the outcome.
        model : str
            ``cs``, ``d``, ``csd`` or ``clinical``.
        origin : str
            Where the score came from (`ORIGINS`).
        score : array_like of float, shape (n_patients,)
            The model's own output.
        risk : array_like of float, shape (n_patients,)
            The probability that it means.
        fold : array_like of int, shape (n_patients,), optional
            The fold in which the patient was left out.
        event : str, default "aggressive_pd"
            The outcome's column.
        protocol : str, default "leak_free"
            ``leak_free`` or ``as_published``.
        horizon_months : int, optional
            The months within which the event counts; without it, it counts whenever it came.

        Returns
        -------
        Scores
            One row a patient.
        """
        checks.columns(patients, ["patient_id", "centre", event], name="patients")
        table = patients[["patient_id", "centre"]].reset_index(drop=True)
        given = {"model": model, "protocol": protocol, "origin": origin}
        table = table.assign(
            **given,
            fold=pd.array([None] * len(table) if fold is None else fold, dtype="Int64"),
            horizon_months=pd.array([horizon_months] * len(table), dtype="Int64"),
            score=score,
            risk=risk,
            event=checks.outcomes(event, patients[event]),
        )
        return cls(table[list(COLUMNS)])

    @classmethod
    def read(cls, path: Path | str) -> Scores:
        """
        Scores as they were written.

        Parameters
        ----------
        path : pathlib.Path or str
            A ``scores.csv``.

        Returns
        -------
        Scores
            Its rows.
        """
        return cls(pd.read_csv(path, dtype=_TYPES, float_precision="round_trip"))

    def write(self, path: Path | str) -> None:
        """
        Nothing; the scores stand in a file that `read` gives back to the digit.

        Parameters
        ----------
        path : pathlib.Path or str
            Where to.
        """
        results.write_table(self.table, path)

    def __add__(self, other: Scores) -> Scores:
        """Both, one below the other."""
        return Scores(pd.concat([self.table, other.table], ignore_index=True))

    def only(self, **values: str) -> Scores:
        """
        The rows that have these values.

        Parameters
        ----------
        **values : str
            Column and value, such as ``model="cs"``.

        Returns
        -------
        Scores
            Those rows.
        """
        table = checks.columns(self.table, values, name="scores")
        for column, value in values.items():
            table = table[table[column] == value]
        return Scores(table.reset_index(drop=True))

    def at(self, horizon_months: int | None) -> Scores:
        """
        The rows of one horizon.

        Parameters
        ----------
        horizon_months : int or None
            The months within which the event counts; None where it counts whenever it came.

        Returns
        -------
        Scores
            Those rows.
        """
        months = self.table["horizon_months"]
        own = months.isna() if horizon_months is None else months.eq(horizon_months).fillna(False)
        table = self.table[own].reset_index(drop=True)
        known = bool(table["event"].notna().all())
        return Scores(table.astype({"event": bool}) if known else table)

    def require(self, *origins: str, use: str) -> Scores:
        """
        These scores, where every one of them has an allowed origin.

        Parameters
        ----------
        *origins : str
            The origins that may be used.
        use : str
            What for, in words that finish "cannot be used to ...".

        Returns
        -------
        Scores
            The same scores.

        Raises
        ------
        InputError
            If one of them has another origin, or there is none; the message says what to use.
        """
        if self.table.empty:
            raise checks.InputError(f"no score at hand to {use}.")
        wrong = self.table[~self.table["origin"].isin(origins)]
        if len(wrong):
            found = str(wrong["origin"].iloc[0])
            raise checks.InputError(
                f"scores of origin {found!r} cannot be used to {use} ({len(wrong)} of "
                f"{len(self.table)} rows); allowed: {', '.join(origins)}. "
                f"Instead: {_REMEDY[found]}."
            )
        return self
