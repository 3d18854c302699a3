"""Model CS by the paper's choices. R's values: oracles/clinical.json, made by clinical.R."""

from __future__ import annotations

import numpy as np
import pytest
from test_clinical import ORACLE, patients_of

from hcc_utils.checks import InputError
from hcc_utils.models import apparent, clinical

NAMES = ORACLE["runs"][0]["candidates"]


def test_the_selection_is_of_complete_cases():
    """R's run on the set with holes, everything let through the screening: 114 of 120.

    R's standard errors are one iteration behind.
    """
    (theirs,) = [
        run for run in ORACLE["runs"] if (run["set"], run["direction"]) == ("holes", "both")
    ]
    found = apparent.fit(patients_of("holes"), candidates=NAMES, p_below=2)
    np.testing.assert_allclose(
        [found.intercept, *found.terms.values()], theirs["coefficients"], rtol=1e-6
    )
    np.testing.assert_allclose(list(found.standard_errors.values()), theirs["se"], rtol=5e-6)


def test_each_factor_is_tried_where_it_is_known():
    """By R's p-values two factors pass below 0.1, each in its own patients; both are selected."""
    passed = [row["variable"] for row in ORACLE["screened"] if row["p_value"] < 0.1]
    assert passed == ["diameter_mm", "capsule"]
    found = apparent.fit(patients_of("holes"), candidates=NAMES)
    assert clinical.variables_of(found.terms) == set(passed)
    known = patients_of("holes").dropna(subset=passed)
    again = clinical.fit(known, candidates=passed, p_below=2)
    assert found.terms == again.terms


def test_scores_say_who_has_seen_whom():
    groups = {"development": patients_of("paper"), "hospital_c": patients_of("holes")}
    found = apparent.scores(groups, "aggressive_pd")
    said = {name: scores.table.iloc[0] for name, scores in found.items()}
    assert said["development"][["protocol", "origin"]].tolist() == ["as_published", "apparent"]
    assert said["hospital_c"][["protocol", "origin"]].tolist() == ["as_published", "external"]
    model = apparent.fit(groups["development"])
    np.testing.assert_array_equal(
        found["development"].table["score"], model.score(groups["development"])
    )


def test_who_lacks_a_factor_has_no_score():
    """A missing diameter, an unknown capsule: the others are scored as without them."""
    groups = {"development": patients_of("paper"), "hospital_c": patients_of("small").head(12)}
    whole = apparent.scores(groups, "aggressive_pd")["hospital_c"].table
    holes = groups["hospital_c"].copy()
    holes.loc[0, "diameter_mm"] = np.nan
    holes.loc[1, "capsule"] = None
    found = apparent.scores({**groups, "hospital_c": holes}, "aggressive_pd")["hospital_c"].table
    assert found["patient_id"].tolist() == [f"p{i}" for i in range(2, 12)]
    assert found["score"].tolist() == whole["score"].tolist()[2:]


def test_a_group_without_a_complete_patient_is_left_out():
    groups = {"development": patients_of("paper")}
    groups["hospital_c"] = patients_of("small").assign(diameter_mm=np.nan)
    assert list(apparent.scores(groups, "aggressive_pd")) == ["development"]


def test_where_nothing_passes_the_intercept_stays():
    table = patients_of("small").assign(diameter_mm=30, capsule="intact")
    found = apparent.fit(table, candidates=["diameter_mm", "capsule"])
    assert found.terms == {}
    assert "the intercept alone" in found.note


def test_one_class_is_refused():
    table = patients_of("small").assign(aggressive_pd=True)
    with pytest.raises(InputError, match="both events and non-events"):
        apparent.fit(table)


def test_there_must_be_a_development():
    with pytest.raises(InputError, match="development"):
        apparent.scores({"hospital_c": patients_of("small")}, "aggressive_pd")
