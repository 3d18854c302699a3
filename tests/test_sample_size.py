"""Riley's criteria, worked by hand from their formulas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.models import sample_size


def test_an_example_worked_by_hand():
    """24 parameters, prevalence .174 and R-squared .288 need 662 patients.

    24 / (0.1 * 0.38566) = 622.3; the largest R-squared is .603 and the slope
    .288 / (.288 + .05 * .603) = .9052, so 24 / (.0948 * .38296) = 661.1; 39.2**2 * .1437 = 220.9.
    """
    found = sample_size.riley(24, 0.174, 0.288).set_index("criterion")
    expected = {"shrinkage": 623, "optimism": 662, "overall_risk": 221, "all": 662}
    assert found["patients"].to_dict() == expected
    assert found.loc["all", "events"] == pytest.approx(662 * 0.174)
    assert found.loc["all", "events_per_parameter"] == pytest.approx(4.8, abs=0.005)


def test_fifteen_per_cent_of_the_largest_r_squared_where_nothing_is_known():
    """Half with the event: the largest is 1 - (1/2)**2 = 3/4."""
    assert sample_size.riley(5, 0.5)["r_squared"].tolist() == [pytest.approx(0.1125)] * 4


def test_a_study_stands_above_its_needs():
    """An age, a flag and a capsule of three levels: four parameters, for 20 events of 60."""
    table = pd.DataFrame(
        {
            "age_years": np.arange(60.0),
            "cirrhosis": np.arange(60) % 2 == 0,
            "capsule": ["absent", "intact", "non_intact"] * 20,
            "aggressive_pd": np.arange(60) < 20,
        }
    )
    found = sample_size.of_study(table, "aggressive_pd", ["age_years", "cirrhosis", "capsule"])
    here = found.iloc[0]
    assert here[["criterion", "patients", "events", "parameters"]].tolist() == ["here", 60, 20, 4]
    assert here["events_per_parameter"] == 5
    pd.testing.assert_frame_equal(
        found.iloc[1:].reset_index(drop=True), sample_size.riley(4, 20 / 60)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"parameters": 0}, "parameters must be .* at least 1; got 0", id="none"),
        pytest.param({"prevalence": 0.0}, "prevalence must lie strictly between", id="one class"),
        pytest.param({"prevalence": np.nan}, "prevalence .* got nan", id="missing"),
        pytest.param({"shrinkage": 1.0}, "shrinkage must lie strictly between", id="no shrinkage"),
        pytest.param({"r_squared": 0.7}, r"r_squared .* 0 and 0\.603; got 0\.7", id="too large"),
    ],
)
def test_what_no_study_can_have_is_refused(change, message):
    good = {"parameters": 24, "prevalence": 0.174, "r_squared": 0.288}
    with pytest.raises(InputError, match=message):
        sample_size.riley(**(good | change))


def test_one_class_is_refused():
    table = pd.DataFrame({"age_years": [50.0, 60.0], "aggressive_pd": [True, True]})
    with pytest.raises(InputError, match="both events and non-events"):
        sample_size.of_study(table, "aggressive_pd", ["age_years"])
