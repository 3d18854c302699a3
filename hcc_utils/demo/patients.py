"""The demo's patients in their five hospitals, and the truth about each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.checks import Bools
from hcc_utils.demo import baseline, follow_up, readings, truth
from hcc_utils.demo.hospitals import HOSPITALS
from hcc_utils.demo.margins import MARGINS, Margins, shares
from hcc_utils.study import vocabulary

SEED = 20240501
PAPER = 332  # as many patients as the paper has
FEWEST = 60  # below it no hospital can hold the events that are promised

_ELIGIBLE: dict[int, dict[str, int]] = {
    PAPER: {
        "hospital_a": 140,
        "hospital_b": 96,
        "hospital_c": 48,
        "hospital_d": 28,
        "hospital_e": 20,
    },
    FEWEST: {"hospital_a": 20, "hospital_b": 16, "hospital_c": 8, "hospital_d": 8, "hospital_e": 8},
}
_EXCLUDED = {"hospital_a": 9, "hospital_b": 7, "hospital_c": 6, "hospital_d": 5, "hospital_e": 3}
REASONS: tuple[str, ...] = (
    "spread at baseline",
    "another cancer",
    "irregular follow-up",
    "no CT",
    "positive margin",
    "short follow-up",
)
LEAST_EVENTS = 2  # a hospital


def make(
    count: int = PAPER, seed: int = SEED, *, free: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """
    The patients of all five hospitals, and the truth about them.

    Parameters
    ----------
    count : int, default 332
        How many patients stay: the paper's 332 with its exact counts, or another number from 60
        on with about its proportions. A few more come beside them, whom its criteria exclude.
    seed : int, default 20240501
        Equal seeds give equal patients.
    free : bool, default False
        Draw each event by its own risk, so that their number varies as chance has it (for studies
        of coverage). Otherwise events by BCLC stage are the paper's, and each hospital has at
        least two.

    Returns
    -------
    patients : pandas.DataFrame
        One row a patient, vocabulary columns. ``has_ct`` is False for those without images.
    truth : pandas.DataFrame
        In the same order: ``patient_id``, ``centre``, ``image_latent``, ``clinical_part``,
        ``intercept``, ``linear_predictor``, ``risk_true``, ``bclc``, ``event`` and
        ``excluded_for`` (one of `REASONS`, empty for those who stay).

    Raises
    ------
    InputError
        If there are fewer than 60.
    """
    if count < FEWEST:
        raise checks.InputError(
            f"the demo study needs {FEWEST} patients or more, so that every hospital has events; "
            f"got {count}."
        )
    rng = np.random.default_rng(seed)
    groups = [_group(role, count, rng, free=free) for role in MARGINS]
    groups.append(_excluded(count, rng))
    everyone = pd.concat(groups, ignore_index=True)
    everyone = everyone.iloc[rng.permutation(len(everyone))]
    everyone = everyone.sort_values("centre", kind="stable", ignore_index=True)
    place = everyone.groupby("centre").cumcount() + 1
    letter = everyone["centre"].str[-1].str.upper()
    everyone["patient_id"] = letter + place.astype(str).str.zfill(3)
    everyone["event"] = everyone["aggressive_pd"].astype(bool)
    return _in_words(everyone), everyone[list(_TRUTH)].copy()


def eligible(count: int) -> dict[str, int]:
    """
    How many patients of each hospital stay.

    Parameters
    ----------
    count : int
        Of all hospitals.

    Returns
    -------
    dict of str to int
        By hospital; in the paper's proportions unless the number has a division of its own.
    """
    return _ELIGIBLE.get(count) or shares(_ELIGIBLE[PAPER], count)


def excluded(count: int) -> dict[str, int]:
    """
    How many patients of each hospital the criteria exclude.

    Parameters
    ----------
    count : int
        How many stay in all hospitals.

    Returns
    -------
    dict of str to int
        By hospital; at least one in each.
    """
    return {name: max(1, round(n * count / PAPER)) for name, n in _EXCLUDED.items()}


def _with_role(hospitals: dict[str, int], role: str) -> dict[str, int]:
    return {name: n for name, n in hospitals.items() if HOSPITALS[name].role == role}


_TRUTH = (
    "patient_id",
    "centre",
    "image_latent",
    "clinical_part",
    "intercept",
    "linear_predictor",
    "risk_true",
    "bclc",
    "event",
    "excluded_for",
)


def _group(role: str, count: int, rng: np.random.Generator, *, free: bool) -> pd.DataFrame:
    """The eligible patients of all hospitals with one role."""
    hospitals = _with_role(eligible(count), role)
    margins = MARGINS[role].scaled(sum(hospitals.values()))
    patients = _followed(margins, MARGINS[role], rng, free=free)
    centre = np.repeat(list(hospitals), list(hospitals.values()))
    least = 0 if free else min(LEAST_EVENTS, sum(margins.events.values()) // len(hospitals))
    return patients.assign(
        centre=_dealt(centre, patients["aggressive_pd"].to_numpy(bool), least, rng),
        excluded_for="",
    )


def _followed(
    margins: Margins, paper: Margins, rng: np.random.Generator, *, free: bool
) -> pd.DataFrame:
    """Patients with these margins, their truth and what became of them."""
    image_latent = rng.standard_normal(margins.patients)
    patients = baseline.patients(margins, image_latent, rng)
    known = truth.table(patients, image_latent, paper)
    event = truth.events(known, patients["bclc"].to_numpy(str), margins, rng, free=free)
    outcomes = follow_up.outcomes(
        event,
        _kinds(event, margins, rng, free=free),
        known["linear_predictor"].to_numpy(),
        patients["child_pugh"].to_numpy(str),
        rng,
    )
    return _typed(pd.concat([readings.add(patients, rng), known, outcomes], axis=1))


def _kinds(event: Bools, margins: Margins, rng: np.random.Generator, *, free: bool) -> np.ndarray:
    """Macrovascular invasion, metastasis or both, for everyone; told only where it happened."""
    names, counts = list(margins.kinds), np.array(list(margins.kinds.values()))
    kind = rng.choice(names, len(event), p=counts / counts.sum())
    if not free:
        kind[event] = rng.permutation(np.repeat(names, counts))
    return kind


def _dealt(centre: np.ndarray, event: Bools, least: int, rng: np.random.Generator) -> np.ndarray:
    """Hospitals by chance alone, dealt again until each has the least number of events."""
    while True:
        dealt = rng.permutation(centre)
        if min((event & (dealt == name)).sum() for name in set(centre)) >= least:
            return dealt


def _excluded(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Patients of each hospital whom one of the paper's criteria excludes."""
    groups = []
    for role, margins in MARGINS.items():
        hospitals = _with_role(excluded(count), role)
        centre = np.repeat(list(hospitals), list(hospitals.values()))
        patients = _followed(margins, margins, rng, free=True)
        groups.append(patients.sample(len(centre), random_state=rng).assign(centre=centre))
    patients = pd.concat(groups, ignore_index=True)
    patients["excluded_for"] = np.resize(REASONS, len(patients))
    return _spoiled(patients, rng)


def _spoiled(patients: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Each patient with the one thing for which it is excluded."""
    here = {reason: patients["excluded_for"] == reason for reason in REASONS}
    patients.loc[here["spread at baseline"], ["baseline_spread", "bclc"]] = [True, "C"]
    patients.loc[here["another cancer"], "other_cancer"] = True
    patients.loc[here["irregular follow-up"], "irregular_follow_up"] = True
    surgery = ["resection", "positive", "pathological"]
    patients.loc[here["positive margin"], ["treatment", "margin", "diagnosis_basis"]] = surgery
    short = here["short follow-up"]
    patients.loc[short, ["aggressive_pd", *_KINDS, "death"]] = False
    visit = rng.uniform(2, 11, int(short.sum())).round(1)
    for name in ("aggressive_pd", *_KINDS, "death"):
        patients.loc[short, f"months_to_{name}"] = visit
    patients.loc[here["no CT"], "has_ct"] = False
    unread = [name for name, v in vocabulary.VARIABLES.items() if v.room == "semantic"]
    patients.loc[here["no CT"], [*unread, "months_scan_to_treatment"]] = np.nan
    return patients


_KINDS = ("extrahepatic_metastasis", "macrovascular_invasion")


def _typed(patients: pd.DataFrame) -> pd.DataFrame:
    """Flags that may be missing, numbers as floats, words or nan."""
    table = patients.copy()
    for name, variable in vocabulary.VARIABLES.items():
        if name in table and variable.kind == "flag":
            table[name] = table[name].astype("boolean")
        elif name in table and variable.kind == "number":
            table[name] = table[name].astype(float)
        elif name in table:
            table[name] = table[name].astype(object).where(table[name].notna(), np.nan)
    return table


def _in_words(everyone: pd.DataFrame) -> pd.DataFrame:
    """The vocabulary's columns, in its order."""
    return everyone[[name for name in vocabulary.VARIABLES if name in everyone]].copy()
