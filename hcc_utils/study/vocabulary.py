"""The study's words: every variable with its kind, unit, levels and label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["text", "flag", "nominal", "ordinal", "number"]
Room = Literal["identity", "clinical", "semantic", "reading", "outcome", "eligibility"]
GROUPING_KINDS: tuple[Kind, ...] = ("flag", "nominal", "ordinal")


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One column of the study table."""

    name: str
    label: str
    kind: Kind
    room: Room
    levels: tuple[str, ...] = ()
    low: float = float("-inf")
    high: float = float("inf")


def _flag(name: str, label: str, room: Room) -> Variable:
    return Variable(name=name, label=label, kind="flag", room=room)


def _number(name: str, label: str, room: Room, low: float, high: float) -> Variable:
    return Variable(name=name, label=label, kind="number", room=room, low=low, high=high)


def _level(name: str, label: str, room: Room, kind: Kind, *levels: str) -> Variable:
    return Variable(name=name, label=label, kind=kind, room=room, levels=levels)


_MONTHS = 600.0  # fifty years: beyond it, days were given for months

SEMANTIC: tuple[Variable, ...] = (
    _flag("fusion_lesion", "Fusion lesion", "semantic"),
    _flag("invasive_shape", "Invasive shape", "semantic"),
    _level("capsule", "Capsule", "semantic", "nominal", "absent", "non_intact", "intact"),
    _flag("capsule_breakthrough", "Capsule breakthrough", "semantic"),
    _flag("corona_enhancement", "Corona enhancement", "semantic"),
    _flag("corona_low_attenuation", "Corona with low attenuation", "semantic"),
    _flag("mosaic", "Mosaic architecture", "semantic"),
    _flag("nodule_in_nodule", "Nodule-in-nodule architecture", "semantic"),
    _number("enhancement_ratio", "Enhancement ratio", "semantic", 0, 20),
)

_VARIABLES: tuple[Variable, ...] = (
    Variable(name="patient_id", label="Patient", kind="text", room="identity"),
    Variable(name="centre", label="Centre", kind="text", room="identity"),
    _number("age_years", "Age (years)", "clinical", 18, 110),
    _level("sex", "Sex", "clinical", "nominal", "male", "female"),
    _level("treatment", "Initial treatment", "clinical", "nominal", "resection", "tace"),
    _flag("hbv", "HBV infection", "clinical"),
    _flag("cirrhosis", "Cirrhosis", "clinical"),
    _level("child_pugh", "Child-Pugh class", "clinical", "ordinal", "A", "B", "C"),
    _level("bclc", "BCLC stage", "clinical", "ordinal", "0", "A", "AB", "B", "C", "D"),
    _number("diameter_mm", "Largest diameter (mm)", "clinical", 1, 400),
    _number("largest_nodule_mm", "Largest nodule (mm)", "clinical", 1, 400),
    _number("lesion_count", "Number of lesions", "clinical", 1, 100),
    _flag("multinodular", "More than one nodule", "clinical"),
    _number("afp_ng_ml", "AFP (ng/mL)", "clinical", 0, 1e8),
    _number("neutrophil_to_lymphocyte", "Neutrophil-to-lymphocyte ratio", "clinical", 0, 100),
    _level("lobe", "Lobe", "clinical", "nominal", "left", "right", "cross"),
    _flag("at_surface", "At the liver's surface", "clinical"),
    _number("ecog", "ECOG performance status", "clinical", 0, 4),
    *SEMANTIC,
    _flag("irregular_follow_up", "Irregular follow-up", "eligibility"),
    _flag("other_cancer", "Another cancer", "eligibility"),
    _level("margin", "Resection margin", "eligibility", "nominal", "negative", "positive"),
    _flag("baseline_spread", "Spread at baseline", "eligibility"),
    _flag("baseline_macrovascular_invasion", "Macrovascular invasion at baseline", "eligibility"),
    _flag("baseline_extrahepatic_metastasis", "Metastasis at baseline", "eligibility"),
    _flag("has_ct", "CT at diagnosis", "eligibility"),
    _flag("has_images", "Images at hand", "eligibility"),
    _level("diagnosis_basis", "Diagnosis", "eligibility", "nominal", "clinical", "pathological"),
    _number("months_scan_to_treatment", "Months from CT to treatment", "eligibility", -60, 60),
    _flag("extrahepatic_metastasis", "Extrahepatic metastasis", "outcome"),
    _flag("macrovascular_invasion", "Macrovascular invasion", "outcome"),
    _flag("aggressive_pd", "Aggressive progression", "outcome"),
    _number("months_to_aggressive_pd", "Months to aggressive progression", "outcome", 0, _MONTHS),
    _number(
        "months_to_extrahepatic_metastasis",
        "Months to extrahepatic metastasis",
        "outcome",
        0,
        _MONTHS,
    ),
    _number(
        "months_to_macrovascular_invasion",
        "Months to macrovascular invasion",
        "outcome",
        0,
        _MONTHS,
    ),
    _flag("progression", "Progression", "outcome"),
    _number("months_to_progression", "Months to progression", "outcome", 0, _MONTHS),
    _flag("recurrence", "Recurrence", "outcome"),
    _number("months_to_recurrence", "Months to recurrence", "outcome", 0, _MONTHS),
    _flag("death", "Death", "outcome"),
    _number("months_to_death", "Months to death", "outcome", 0, _MONTHS),
)

READERS: tuple[str, ...] = ("r1", "r2", "adjudicated")
_INDEPENDENT: tuple[str, ...] = ("r1", "r2", "r3")

_READ_APART = _number("recist_mm", "RECIST diameter (mm)", "reading", 0, 1000)


def _readings(factor: Variable, readers: tuple[str, ...]) -> tuple[Variable, ...]:
    """A variable once for each of its readers, such as ``capsule_r1``."""
    return tuple(
        replace(factor, name=f"{factor.name}_{reader}", label=f"{factor.label}, {reader}")
        for reader in readers
    )


_READ: tuple[Variable, ...] = (
    *(reading for factor in SEMANTIC for reading in _readings(factor, READERS)),
    *_readings(_READ_APART, _INDEPENDENT),
)
VARIABLES: dict[str, Variable] = {v.name: v for v in (*_VARIABLES, *_READ)}

BASELINE: tuple[str, ...] = tuple(v.name for v in _VARIABLES if v.room in ("clinical", "semantic"))

DERIVED: dict[str, tuple[str, str]] = {
    "log10_afp_ng_ml": ("AFP (log10 of ng/mL)", "afp_ng_ml"),
    "child_pugh_b_or_c": ("Child-Pugh class B or C", "child_pugh"),
}
"""What a clinical model may use beside the vocabulary: its label, and the column it is made of."""

FACTORS: tuple[str, ...] = (
    *BASELINE,
    "baseline_macrovascular_invasion",
    "baseline_extrahepatic_metastasis",
    *DERIVED,
)
"""What a clinical model may use: known at baseline, every one of them."""

MODELS: dict[str, str] = {
    "radiomics": "Radiomics",  # a baseline first: a difference is what the later model adds
    "radiomics_combat": "Radiomics after ComBat",
    "cs": "Model CS",
    "d": "Model D",
    "csd": "Model CSD",
    "clinical": "Clinical model",
}

AFP_BANDS: tuple[tuple[str, float], ...] = (("<25", 25), ("25-400", 400), (">400", float("inf")))


def is_flag(name: str) -> bool:
    """
    Whether a variable or derived factor is true or false.

    Parameters
    ----------
    name : str
        Any name.

    Returns
    -------
    bool
        False for names that are not known.
    """
    return name == "child_pugh_b_or_c" or (name in VARIABLES and VARIABLES[name].kind == "flag")


def at_baseline(name: str) -> bool:
    """
    Whether a variable is known before the first treatment.

    Parameters
    ----------
    name : str
        A name of the vocabulary.

    Returns
    -------
    bool
        False for outcomes.
    """
    return VARIABLES[name].room not in ("identity", "outcome")


def label(name: str) -> str:
    """
    The words a reader sees for a variable or a model.

    Parameters
    ----------
    name : str
        A name of the vocabulary, or of what readers read apart (``recist_mm``); any other comes
        back as it is.

    Returns
    -------
    str
        The label.
    """
    if name in MODELS:
        return MODELS[name]
    if name in DERIVED:
        return DERIVED[name][0]
    if name == _READ_APART.name:
        return _READ_APART.label
    return VARIABLES[name].label if name in VARIABLES else name
