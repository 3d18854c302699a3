"""How each of the demo's hospitals writes its table: its own names, codes and units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hcc_utils.study import vocabulary


@dataclass(frozen=True, kw_only=True)
class Convention:
    """How one hospital writes its table: column names, codes, units and the word for missing."""

    name: Callable[[str], str]
    names: dict[str, str] = field(default_factory=dict)
    flag: tuple[str | int, str | int]  # present, absent
    levels: dict[str, dict[str | bool, str | int]] = field(default_factory=dict)
    divide_by: dict[str, float] = field(default_factory=dict)
    missing: str = ""

    def column(self, variable: str) -> str:
        """
        The hospital's name for a variable.

        Parameters
        ----------
        variable : str
            A name of the vocabulary.

        Returns
        -------
        str
            A column of the hospital's table.
        """
        for reader in vocabulary.READERS:
            if variable.endswith(f"_{reader}"):
                factor = self.column(variable.removesuffix(f"_{reader}"))
                return f"{factor}_{self.names.get(reader, reader)}"
        return self.names.get(variable) or self.name(variable)

    def codes(self, variable: str) -> dict[str | bool, str | int]:
        """
        The hospital's code for each level of a variable.

        Parameters
        ----------
        variable : str
            A name of the vocabulary.

        Returns
        -------
        dict
            Level and code; empty where the hospital writes the vocabulary's own words.
        """
        if vocabulary.VARIABLES[variable].kind == "flag":
            return {True: self.flag[0], False: self.flag[1]}
        for reader in vocabulary.READERS:
            variable = variable.removesuffix(f"_{reader}")
        return dict(self.levels.get(variable, {}))


def _camel(name: str) -> str:
    """lesion_count as LesionCount."""
    return name.title().replace("_", "")


def _lower_camel(name: str) -> str:
    """lesion_count as lesionCount."""
    return name[0] + _camel(name)[1:]


_GERMAN = {
    "patient_id": "PatNr",
    "age_years": "Alter",
    "sex": "Geschlecht",
    "treatment": "Ersttherapie",
    "hbv": "HepatitisB",
    "cirrhosis": "Zirrhose",
    "child_pugh": "ChildPugh",
    "bclc": "BCLC",
    "diameter_mm": "Durchmesser_mm",
    "largest_nodule_mm": "GroessterKnoten_mm",
    "lesion_count": "Herdzahl",
    "afp_ng_ml": "AFP",
    "neutrophil_to_lymphocyte": "NLR",
    "lobe": "Lappen",
    "at_surface": "Oberflaechennah",
    "fusion_lesion": "Fusionsherd",
    "invasive_shape": "InvasiveForm",
    "capsule": "Kapsel",
    "capsule_breakthrough": "Kapseldurchbruch",
    "corona_enhancement": "KoronaKontrast",
    "corona_low_attenuation": "KoronaHypodens",
    "mosaic": "Mosaik",
    "nodule_in_nodule": "KnotenImKnoten",
    "enhancement_ratio": "Kontrastquotient",
    "irregular_follow_up": "NachsorgeUnregelmaessig",
    "other_cancer": "Zweittumor",
    "margin": "Resektionsrand",
    "baseline_spread": "AusbreitungInitial",
    "has_ct": "CTvorhanden",
    "diagnosis_basis": "Diagnose",
    "months_scan_to_treatment": "Monate_CT_bis_Therapie",
    "extrahepatic_metastasis": "Fernmetastase",
    "macrovascular_invasion": "Gefaessinvasion",
    "aggressive_pd": "AggressiverProgress",
    "months_to_aggressive_pd": "Monate_bis_Progress",
    "months_to_extrahepatic_metastasis": "Monate_bis_Fernmetastase",
    "months_to_macrovascular_invasion": "Monate_bis_Gefaessinvasion",
    "death": "Verstorben",
    "months_to_death": "Monate_bis_Tod",
    "r1": "Leser1",
    "r2": "Leser2",
    "adjudicated": "Leser3",
}

CONVENTIONS: dict[str, Convention] = {
    "hospital_a": Convention(
        name=_camel,
        names={
            "patient_id": "PatNo",
            "age_years": "Age",
            "diameter_mm": "Size_cm",
            "largest_nodule_mm": "Largest_cm",
        },
        flag=("yes", "no"),
        levels={"sex": {"male": 1, "female": 2}},
        divide_by={"diameter_mm": 10, "largest_nodule_mm": 10},
        missing="n/a",
    ),
    "hospital_b": Convention(
        name=_GERMAN.__getitem__,
        names=_GERMAN,
        flag=("ja", "nein"),
        levels={
            "sex": {"male": "m", "female": "w"},
            "treatment": {"resection": "Resektion", "tace": "TACE"},
            "lobe": {"left": "links", "right": "rechts", "cross": "beide"},
            "capsule": {"absent": "fehlt", "non_intact": "unvollständig", "intact": "vollständig"},
            "margin": {"negative": "frei", "positive": "befallen"},
            "diagnosis_basis": {"clinical": "klinisch", "pathological": "histologisch"},
        },
        missing="k.A.",
    ),
    "hospital_c": Convention(
        name=str.upper,
        flag=(1, 0),
        levels={
            "sex": {"male": 1, "female": 0},
            "treatment": {"resection": 1, "tace": 2},
            "child_pugh": {"A": 1, "B": 2, "C": 3},
            "bclc": {"0": 0, "A": 1, "AB": 2, "B": 3, "C": 4, "D": 5},
            "capsule": {"absent": 0, "non_intact": 1, "intact": 2},
            "lobe": {"left": 1, "right": 2, "cross": 3},
            "margin": {"negative": 0, "positive": 1},
        },
        missing="-9",
    ),
    "hospital_d": Convention(
        name=_lower_camel,
        flag=("Y", "N"),
        levels={
            "sex": {"male": "M", "female": "F"},
            "treatment": {"resection": "LR", "tace": "TACE"},
            "margin": {"negative": "R0", "positive": "R1"},
        },
        missing="?",
    ),
    "hospital_e": Convention(
        name=vocabulary.label,
        flag=(1, 2),
        levels={"sex": {"male": "Male", "female": "Female"}},
    ),
}
