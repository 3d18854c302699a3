"""The names that others may build on: a change here is a change of the public surface."""

from __future__ import annotations

import importlib
import inspect

import pytest
from typer.testing import CliRunner

from hcc_utils import cli

FUNCTIONS = {
    "study.cohort.table_one": "patients by columns tests",
    "evaluation.discrimination.auc": "event score level",
    "evaluation.discrimination.delong_paired": "event score_a score_b level",
    "evaluation.discrimination.delong_unpaired": "event_a score_a event_b score_b level",
    "evaluation.discrimination.youden": "event risk",
    "evaluation.discrimination.operating_point": "event risk threshold",
    "evaluation.reclassification.nri": "event risk_old risk_new categories level",
    "evaluation.reclassification.idi": "event risk_old risk_new level",
    "evaluation.calibration.calibration": "event risk level",
    "evaluation.calibration.curve": "event risk level",
    "evaluation.decision_curve.net_benefit": "event risk thresholds",
    "evaluation.survival.kaplan_meier": "time event group level",
    "evaluation.survival.median": "time event group level",
    "evaluation.survival.logrank": "time event group",
    "evaluation.survival.cox": "time event covariates",
    "evaluation.survival.cumulative_incidence": "time cause group level",
    "evaluation.agreement.icc": "ratings",
    "evaluation.agreement.kappa": "ratings weights",
    "evaluation.nomogram.nomogram": "intercept terms ranges",
    "models.clinical.published_score": "patients",
    "models.clinical.step_aic": "patients outcome candidates direction",
    "imaging.slices.lesion_slices": "series roi margin_pixels size",
}


@pytest.mark.parametrize(("name", "arguments"), FUNCTIONS.items(), ids=list(FUNCTIONS))
def test_a_stable_name_takes_its_arguments_in_this_order(name, arguments):
    module, function = name.rsplit(".", 1)
    found = inspect.signature(getattr(importlib.import_module(f"hcc_utils.{module}"), function))
    assert list(found.parameters)[: len(arguments.split())] == arguments.split()


@pytest.mark.parametrize(
    "command", ["demo", "inventory", "privacy", "table", "check", "run", "book", "version"]
)
def test_each_command_helps(command):
    shown = CliRunner().invoke(cli.app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output


def test_exit_codes_are_said():
    assert "3 a validation centre was refused" in CliRunner().invoke(cli.app, ["--help"]).output


def test_a_missing_manifest_is_named_without_a_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["hcc", "check", "--manifest", str(tmp_path / "none.yaml")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "none.yaml" in capsys.readouterr().err
