"""The manifest: what it gives, and what a faulty one is told, all at once and line by line."""

from __future__ import annotations

import typing
from pathlib import Path

import pydantic
import pytest
import small_study

from hcc_utils import checks
from hcc_utils.study import manifest, tables, vocabulary
from hcc_utils.study.manifest import Manifest

GOOD = """\
study: small
title: A small study
synthetic: true
endpoint: aggressive_pd
time_zero: initial treatment
seed: 7
ethics: none needed
funding: none
data_root: data
centres:
  hospital_a:
    title: Hospital A
    role: development
    table: a/patients.csv
    codebook: a/codebook.yaml
  hospital_b:
    title: Hospital B
    role: validation
    table: b/patients.xlsx
    sheet: patients
    codebook: b/codebook.yaml
    dicom: b/dicom
    roi: {source: seg, path: b/roi}
    series: {"007": 1.2.840.1}
    checksums: b/SHA256SUMS
chapters_left_out: {07_pooled: one centre alone}
"""


def _read(folder: Path, text: str) -> Manifest:
    path = folder / "m.yaml"
    path.write_text(text, "utf-8")
    return Manifest.read(path)


def _lines(folder: Path, text: str | bytes) -> list[str]:
    """What is said of this text, without the folder's name."""
    path = folder / "m.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(checks.Problems) as caught:
        Manifest.read(path)
    return [line.replace(f"{folder}/", "") for line in caught.value.lines]


def test_centres_have_roles(tmp_path: Path) -> None:
    study = _read(tmp_path, GOOD)
    assert study.development == ("hospital_a",)
    assert study.validation == ("hospital_b",)
    assert study.centre("hospital_b").roi == manifest.Roi(source="seg", path="b/roi")


def test_paths_begin_at_the_manifest(tmp_path: Path) -> None:
    study = _read(tmp_path, GOOD)
    assert study.path("hospital_a", "table") == tmp_path / "data" / "a" / "patients.csv"
    assert study.path("hospital_b", "roi") == tmp_path / "data" / "b" / "roi"
    assert study.path("hospital_a", "dicom") is None


def test_source_is_the_file(tmp_path: Path) -> None:
    assert _read(tmp_path, GOOD).source == tmp_path / "m.yaml"


def test_protocol_is_leak_free_unless_said(tmp_path: Path) -> None:
    assert _read(tmp_path, GOOD).protocol == "leak_free"


def test_a_series_rule_is_read(tmp_path: Path) -> None:
    rule = "    role: development\n    series_rule: {description: portal|pv, delay_s: [55, 90]}"
    study = _read(tmp_path, GOOD.replace("    role: development", rule))
    assert study.centre("hospital_a").series_rule == manifest.SeriesRule(
        description="portal|pv", delay_s=(55, 90)
    )


def test_the_network_s_training_is_read(tmp_path: Path) -> None:
    plan = "seed: 7\nnetwork: {members: 3, window_percentiles: [0.5, 99]}"
    study = _read(tmp_path, GOOD.replace("seed: 7", plan))
    assert study.network.model_dump() == {"members": 3, "window_percentiles": (0.5, 99)}
    default = _read(tmp_path, GOOD).network
    assert default.model_dump() == {"members": 1, "window_percentiles": None}


def test_environment_fills_the_data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALL_ROOT", "/somewhere")
    study = _read(tmp_path, GOOD.replace("data_root: data", "data_root: ${SMALL_ROOT}/x"))
    assert study.path("hospital_a", "table") == Path("/somewhere/x/a/patients.csv")


def test_manifest_dir_is_known(tmp_path: Path) -> None:
    book = "codebook: ${MANIFEST_DIR}/codebook.yaml"
    study = _read(tmp_path, GOOD.replace("codebook: a/codebook.yaml", book))
    assert study.path("hospital_a", "codebook") == tmp_path / "codebook.yaml"


def test_manifest_is_frozen(tmp_path: Path) -> None:
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        _read(tmp_path, GOOD).seed = 8  # type: ignore[misc]


def test_unknown_centre_is_named(tmp_path: Path) -> None:
    with pytest.raises(checks.InputError, match="nearest: 'hospital_"):
        _read(tmp_path, GOOD).centre("hospital_x")


def test_endpoints_have_a_flag_and_its_months() -> None:
    """Every outcome flag of the vocabulary that has months can be an endpoint."""
    known = vocabulary.VARIABLES
    timed = {name for name in known if f"months_to_{name}" in known}
    assert set(typing.get_args(manifest.Endpoint)) == timed
    assert set(tables.EVENTS) == timed


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            "seed: 7",
            "seed: 7\nsed: 8",
            "m.yaml:7: sed: is not a key that is known here (nearest: 'seed').",
            id="unknown key",
        ),
        pytest.param(
            "    role: development",
            "    rolle: development",
            "m.yaml:13: centres.hospital_a.rolle: is not a key that is known here "
            "(nearest: 'role').",
            id="unknown key of a centre",
        ),
        pytest.param(
            "path: b/roi",
            "path: b/roi, pth: c",
            "m.yaml:23: centres.hospital_b.roi.pth: is not a key that is known here "
            "(nearest: 'path').",
            id="unknown key of the roi",
        ),
        pytest.param(
            "    role: development",
            "    role: develop",
            "m.yaml:13: centres.hospital_a.role: must be one of development, validation; "
            "got 'develop' (nearest: 'development').",
            id="mistyped role",
        ),
        pytest.param(
            "    role: development",
            "    role: development\n    series_rule: {descriptions: portal}",
            "m.yaml:14: centres.hospital_a.series_rule.descriptions: is not a key that is known "
            "here (nearest: 'description').",
            id="unknown key of the series rule",
        ),
        pytest.param(
            "    role: development",
            '    role: development\n    series_rule: {description: "(pv"}',
            "series_rule.description: must be a regular expression",
            id="no regular expression",
        ),
        pytest.param(
            "    role: development",
            "    role: development\n    series_rule: {delay_s: [90, 60]}",
            "series_rule.delay_s: must be [from, to], the lesser number first",
            id="delay from late to early",
        ),
        pytest.param(
            "seed: 7",
            "seed: 7\nnetwork:\n  members: 0",
            "m.yaml:8: network.members: must be above 0.",
            id="no training",
        ),
        pytest.param(
            "seed: 7",
            "seed: 7\nnetwork: {member: 2}",
            "m.yaml:7: network.member: is not a key that is known here (nearest: 'members').",
            id="unknown key of the network",
        ),
        pytest.param(
            "seed: 7",
            "seed: 7\nnetwork: {window_percentiles: [99, 101]}",
            "m.yaml:7: network.window_percentiles: must be [from, to] within 0 and 100",
            id="percentile above 100",
        ),
        pytest.param("seed: 7", "seed: 7.5", "m.yaml:6: seed: must be a whole number.", id="7.5"),
        pytest.param("seed: 7", "seed: -1", "m.yaml:6: seed: must be 0 or more.", id="-1"),
        pytest.param(
            "seed: 7", "seed: 4294967296", "m.yaml:6: seed: must be less than", id="2**32"
        ),
        pytest.param(
            "synthetic: true", "synthetic: yes", "m.yaml:3: synthetic: must be true or", id="yes"
        ),
        pytest.param("title: A small study", "title: 12", "m.yaml:2: title: must be text", id="12"),
        pytest.param("funding: none", 'funding: ""', "m.yaml:8: funding: must not be", id="empty"),
        pytest.param(
            "funding: none\n", "", "m.yaml:1: funding: is needed and is not there.", id="missing"
        ),
        pytest.param(
            "seed: 7",
            "seed: 7\nseed: 8",
            "m.yaml:7: seed: stands already in line 6; a key may stand once.",
            id="duplicate key",
        ),
        pytest.param(
            "  hospital_b:", "  hospital_a:", "m.yaml:16: centres.hospital_a: stands", id="centre"
        ),
        pytest.param(
            "  hospital_b:", "  Hospital B:", "centres.Hospital B: must be a name of", id="name"
        ),
        pytest.param(
            "  hospital_b:", "  development:", "centres.development: must not be one", id="folder"
        ),
        pytest.param(
            "a/patients.csv", "a/patients.dta", "hospital_a.table: must be a .csv or", id="dta"
        ),
        pytest.param(
            "b/patients.xlsx", "b/patients.csv", "m.yaml:20: centres.hospital_b.sheet", id="sheet"
        ),
        pytest.param(
            '"007": 1.2.840.1', "007: 1.2/3", "series.007: must be a SeriesInstanceUID", id="uid"
        ),
        pytest.param(
            "07_pooled: one", "07_pool: one", "(nearest: '07_pooled')", id="unknown chapter"
        ),
        pytest.param(
            "07_pooled: one", "01_cohort: one", "chapters_left_out.01_cohort: must be", id="cohort"
        ),
        pytest.param(
            "data_root: data",
            "data_root: ${NOT_SET_ANYWHERE}",
            "m.yaml:9: data_root: needs the environment variable NOT_SET_ANYWHERE, which is not "
            "set: export NOT_SET_ANYWHERE=",
            id="unset variable",
        ),
        pytest.param("seed: 7", "seed: [7", "is not YAML from here on", id="no YAML"),
        pytest.param("seed: 7", "seed: &s 7\nx: *s", "m.yaml:7: is not YAML from", id="alias"),
        pytest.param("seed: 7", "seed: !!python/x 7", "m.yaml:6: seed: the tag", id="tag"),
        pytest.param("seed: 7", "? [1, 2]\n: 7", "m.yaml:6: ?: ", id="list as a key"),
    ],
)
def test_faulty_manifest_is_told_why(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert GOOD.count(old) >= 1
    lines = _lines(tmp_path, GOOD.replace(old, new, 1))
    assert any(expected in line for line in lines), lines


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("", "m.yaml:1: must hold keys and values", id="empty"),
        pytest.param("- a\n- b\n", "m.yaml:1: must hold keys and values", id="a list"),
        pytest.param("title: käse\n".encode("latin-1"), "must be UTF-8 text", id="latin-1"),
        pytest.param("title: \x00", "a character that YAML does not allow", id="zero byte"),
        pytest.param("study: small\ncentres: {}\n", "centres: must name at least one", id="nobody"),
        pytest.param("centres: []\n", "m.yaml:1: centres: must hold keys", id="centres a list"),
        pytest.param("centres:\n  a: 12\n", "m.yaml:2: centres.a: must hold keys", id="a number"),
    ],
)
def test_what_is_no_manifest_is_told_why(
    tmp_path: Path, content: str | bytes, expected: str
) -> None:
    assert any(expected in line for line in _lines(tmp_path, content))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(checks.InputError, match=r"none\.yaml: there is no such file"):
        Manifest.read(tmp_path / "none.yaml")


def test_all_problems_come_at_once_in_order(tmp_path: Path) -> None:
    text = GOOD.replace("seed: 7", "seed: x").replace("role: validation", "role: valid")
    text = text.replace("study: small", "study: Small Study")
    where = [line.split(":")[1] for line in _lines(tmp_path, text)]
    assert where == ["1", "6", "18"]


def test_plain_words_stay_words(tmp_path: Path) -> None:
    """YAML 1.1 reads `no` as False; here a funder called no is text."""
    assert _read(tmp_path, GOOD.replace("funding: none", "funding: no")).funding == "no"


def test_the_small_study_is_sound(tmp_path: Path) -> None:
    assert small_study.read(tmp_path).validation == ("b", "c")


CLINICAL = """\
models_left_out: {cs: not read, d: no images, csd: needs both}
clinical_model: {factors: [log10_afp_ng_ml, child_pugh], horizon_months: 12}
"""
ALONE = GOOD[: GOOD.index("  hospital_b:")]


def test_a_clinical_model_names_the_columns_it_is_made_of(tmp_path: Path) -> None:
    plan = _read(tmp_path, ALONE + CLINICAL).clinical_model
    assert plan is not None
    assert plan.columns == ("afp_ng_ml", "child_pugh")


def test_tables_must_hold_the_clinical_models_columns_instead(tmp_path: Path) -> None:
    needed = tables.required(_read(tmp_path, ALONE + CLINICAL))
    assert {"afp_ng_ml", "child_pugh"} <= set(needed)
    assert "capsule" not in needed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            ALONE + CLINICAL.replace("d: no images, ", ""), "to name cs, d and csd", id="d"
        ),
        pytest.param(GOOD + CLINICAL, "is for development centres alone", id="validation"),
        pytest.param(
            ALONE + CLINICAL.replace("child_pugh", "death"), "must be one of", id="outcome"
        ),
        pytest.param(ALONE + CLINICAL.replace("12", "0"), "must be above 0", id="horizon"),
        pytest.param(ALONE + "survival_by: [age_years]", "must be one of", id="number"),
        pytest.param(ALONE + "survival_by: [progression]", "must be one of", id="later"),
    ],
)
def test_a_wrong_plan_is_named(tmp_path: Path, text: str, message: str) -> None:
    assert message in "\n".join(_lines(tmp_path, text))
