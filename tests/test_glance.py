"""The study at a glance says what the manifest says, and nothing of what it leaves out."""

from __future__ import annotations

import sample_study

from hcc_utils.study.glance import at_a_glance

LEFT_OUT = {"cs": "no factors", "d": "no outlines", "csd": "needs both"}


def boxes(folder, **changes):
    table = at_a_glance(sample_study.manifest(folder, **changes))
    return table.set_index("title")


def test_hospitals_stand_by_their_part(tmp_path):
    """The sample: Hospital A develops, Hospitals C and D validate."""
    found = boxes(tmp_path)["words"]
    assert found["Development"] == "Hospital A"
    assert found["Validation, each hospital apart"] == "Hospital C, Hospital D"
    assert "Aggressive progression" in found["Question"]


def test_models_cs_and_d_stand_side_by_side_before_csd(tmp_path):
    step = boxes(tmp_path)["step"]
    assert step["Model CS"] == step["Model D"] == step["Model CSD"] - 1
    assert step["Development"] < step["Model CS"]
    assert step["Model CSD"] < step["Frozen"] < step["Validation, each hospital apart"]


def test_a_study_without_validation_freezes_and_pools_nothing(tmp_path):
    hospital = {"table": "a.csv", "codebook": "a.yaml", "title": "Hospital A"}
    found = boxes(tmp_path, centres={"hospital_a": {**hospital, "role": "development"}})
    assert {"Frozen", "Validation, each hospital apart", "Hospitals together"}.isdisjoint(
        found.index
    )


def test_a_clinical_model_stands_in_place_of_those_left_out(tmp_path):
    hospital = {"table": "a.csv", "codebook": "a.yaml", "title": "Hospital A"}
    found = boxes(
        tmp_path,
        centres={"hospital_a": {**hospital, "role": "development"}},
        models_left_out=LEFT_OUT,
        clinical_model={"factors": ("child_pugh_b_or_c",), "horizon_months": 12},
    )
    assert found.loc["Clinical model", "words"] == "Child-Pugh class B or C"
    assert {"Model CS", "Model D", "Model CSD"}.isdisjoint(found.index)
    assert sorted(found["step"].unique()) == list(range(found["step"].nunique()))


def test_a_chapter_that_is_left_out_is_not_asked(tmp_path):
    said = boxes(tmp_path, chapters_left_out={"06_survival": "no times"})["words"]
    assert "time to the event" not in said["Asked of the models"]
    assert "net benefit" in said["Asked of the models"]
