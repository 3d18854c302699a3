"""What the demo takes from the paper: the counts of its Table 1 and of its events."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hcc_utils.study import published

CELLS: dict[str, tuple[str, str]] = {
    "0 single": ("0", "single"),
    "A single": ("A", "single"),
    "A few": ("A", "few"),
    "AB single": ("AB", "single"),
    "B few": ("B", "few"),
    "B many": ("B", "many"),
}


@dataclass(frozen=True, kw_only=True)
class Margins:
    """
    Counts that a group of patients has exactly; "few" are two or three lesions, "many" more.

    The split of stages A and B by number follows from Table 1 and the staging rule: single
    lesions outside 0 and AB must be A, more than three must be B.
    """

    cells: dict[str, int]
    two_lesions: int
    male: int
    tace: int
    hbv: int
    cirrhosis: int
    child_pugh_b: int
    afp: dict[str, int]
    age_mean: float
    age_sd: float
    diameter_median_mm: float
    diameter_low_mm: float
    diameter_high_mm: float
    events: dict[str, int]
    kinds: dict[str, int]

    @property
    def patients(self) -> int:
        """How many there are."""
        return sum(self.cells.values())

    def of_stage(self, stage: str) -> int:
        """
        How many are of this stage.

        Parameters
        ----------
        stage : str
            A BCLC stage.

        Returns
        -------
        int
            Patients.
        """
        return sum(count for cell, count in self.cells.items() if CELLS[cell][0] == stage)

    def scaled(self, patients: int) -> Margins:
        """
        The same proportions among fewer patients.

        Parameters
        ----------
        patients : int
            How many.

        Returns
        -------
        Margins
            Counts rounded, the number of events up.
        """
        part = patients / self.patients
        events = math.ceil(sum(self.events.values()) * part)
        return replace(
            self,
            cells=shares(self.cells, patients),
            two_lesions=round(self.two_lesions * part),
            male=round(self.male * part),
            tace=round(self.tace * part),
            hbv=round(self.hbv * part),
            cirrhosis=round(self.cirrhosis * part),
            child_pugh_b=round(self.child_pugh_b * part),
            afp=shares(self.afp, patients),
            events=shares(self.events, events),
            kinds=shares(self.kinds, events),
        )


def shares(counts: dict[str, int], total: int) -> dict[str, int]:
    """
    A total divided as the counts are, by largest remainders.

    Parameters
    ----------
    counts : dict of str to int
        What it is divided like.
    total : int
        What is divided.

    Returns
    -------
    dict of str to int
        Adding up to the total.
    """
    exact = {name: count * total / sum(counts.values()) for name, count in counts.items()}
    whole = {name: math.floor(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: whole[name] - exact[name])
    for name in by_remainder[: total - sum(whole.values())]:
        whole[name] += 1
    return whole


def _of_paper(
    group: int,
    *,
    age: tuple[float, float],
    diameter_mm: tuple[float, float, float],
    events: tuple[int, int, int, int],
    kinds: tuple[int, int, int],
) -> Margins:
    """The paper's training (0) or validation (1) patients; what Table 1 does not hold is given."""
    counts = {
        name: {level: pair[group] for level, pair in levels.items()}
        for name, levels, _ in published.TABLE_ONE
    }
    stage, lesions = counts["bclc"], counts["lesion_band"]
    a_single = lesions["1"] - stage["0"] - stage["AB"]
    cells = (
        stage["0"],
        a_single,
        stage["A"] - a_single,
        stage["AB"],
        stage["B"] - lesions[">3"],
        lesions[">3"],
    )
    return Margins(
        cells=dict(zip(CELLS, cells, strict=True)),
        two_lesions=lesions["2"],
        male=counts["sex"]["male"],
        tace=counts["treatment"]["tace"],
        hbv=counts["hbv"][True],
        cirrhosis=counts["cirrhosis"][True],
        child_pugh_b=counts["child_pugh"]["B"],
        afp={str(band): count for band, count in counts["afp_band"].items()},
        age_mean=age[0],
        age_sd=age[1],
        diameter_median_mm=diameter_mm[0],
        diameter_low_mm=diameter_mm[1],
        diameter_high_mm=diameter_mm[2],
        events=dict(zip(("0", "A", "AB", "B"), events, strict=True)),
        kinds=dict(zip(("macrovascular", "metastasis", "both"), kinds, strict=True)),
    )


MARGINS: dict[str, Margins] = {
    "development": _of_paper(
        0,
        age=(55.12, 11.83),
        diameter_mm=(60.65, 10, 210),
        events=(4, 14, 39, 26),
        kinds=(14, 54, 15),
    ),
    "validation": _of_paper(
        1,
        age=(55.92, 12.28),
        diameter_mm=(51.50, 7, 171),
        events=(1, 3, 8, 10),
        kinds=(3, 11, 8),
    ),
}
