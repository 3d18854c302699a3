"""Whether a table says what the vocabulary can mean."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from hcc_utils import checks
from hcc_utils.study import vocabulary


def recorded(patients: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """
    Patients, where what these columns record is of the vocabulary.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.
    columns : iterable of str
        Columns; one that the table or the vocabulary lacks is passed over.

    Returns
    -------
    pandas.DataFrame
        The same patients.

    Raises
    ------
    InputError
        If a number is none or infinite, a flag is neither True nor False, or a level is unknown.
        Any value may be missing.
    """
    for name in columns:
        if name in patients and name in vocabulary.VARIABLES:
            _check(vocabulary.VARIABLES[name], patients[name].dropna())
    return patients


def _check(variable: vocabulary.Variable, known: pd.Series) -> None:
    """Refuse a value that the variable cannot have."""
    if variable.kind == "number":
        checks.numbers(variable.name, known)
    elif variable.kind == "flag":
        checks.outcomes(variable.name, known)
    elif variable.levels:
        for level in known.unique():
            checks.one_of(variable.name, level, variable.levels)
