"""The plan of a run, what a notebook depends on, and how one is executed."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import nbformat
import pytest
import sample_study

from hcc_utils.checks import InputError
from hcc_utils.orchestration import assets, closure, execute, reading
from hcc_utils.orchestration.plan import Plan, left_out
from hcc_utils.study import progress, results


def plan(**changes):
    given = {
        "manifest": "m.yaml",
        "results_root": "results",
        "study": "s",
        "profile": "tiny",
        "data": {"development": ["a.csv"], "x": ["x.csv"]},
    }
    return Plan(**(given | changes))


def test_development_sees_no_bundle_and_a_validation_centre_does():
    assert "bundle" not in plan().parameters("development", "04_comparison")
    assert plan().parameters("x", "04_comparison")["bundle"] == "results/s/bundle"
    assert "results/s/bundle.done.json" in plan().inputs("x", "03_cnn")


def test_nothing_of_development_waits_for_a_validation_centre():
    for stage in plan().stages():
        assert not [path for path in plan().inputs("development", stage) if "/x/" in path]


def test_only_the_first_stages_read_the_hospital_s_data():
    reads = [stage for stage in plan().stages() if "x.csv" in plan().inputs("x", stage)]
    assert reads == ["01_cohort", "02_preprocessing"]


def test_a_stage_left_out_is_bridged():
    """Without 03 and 04, survival still waits for the cohort."""
    short = plan(left_out=["03_cnn", "04_comparison", "05_nomogram_dca"], has_bundle=False)
    assert short.stages() == ["01_cohort", "02_preprocessing", "06_survival"]
    before = short.inputs("development", "06_survival")
    assert before == [
        "results/s/development/01_cohort.done.json",
        "results/s/development/02_preprocessing.done.json",
    ]
    assert not [path for path in short.everything_done() if "bundle" in path]


def test_pooling_waits_for_every_validation_centre():
    assert plan().inputs("pooled", "07_pooled") == ["results/s/x/06_survival.done.json"]


def test_an_unchanged_plan_is_not_written_again(tmp_path):
    made = plan(results_root=str(tmp_path))
    path = made.write()
    first = path.stat().st_mtime_ns
    made.write()
    assert path.stat().st_mtime_ns == first
    assert Plan.read(path) == made


def test_a_notebook_depends_on_what_it_imports_and_nothing_else():
    modules = closure.modules(assets.folder("notebooks") / "01_cohort.ipynb")
    names = {"/".join(path.parts[-2:]) for path in modules}
    assert {"study/cohort.py", "hcc_utils/checks.py", "presentation/figures.py"} <= names
    assert not names & {"models/network.py", "models/training.py", "hcc_utils/cli.py"}
    assert not any(name.startswith("imaging/") for name in names)


def notebook(folder, *sources):
    """A notebook of one parameters cell (``a = 1``) and these cells."""
    cells = [nbformat.v4.new_code_cell("a = 1", metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    folder.mkdir(exist_ok=True)
    nbformat.write(made, folder / "01_cohort.ipynb")
    return folder / "01_cohort.ipynb"


@pytest.fixture
def own_notebooks(tmp_path, monkeypatch):
    """The runner looks for its notebooks in a folder of the test's."""
    monkeypatch.setattr(assets, "folder", lambda name: tmp_path / name)
    return tmp_path / "notebooks"


def test_an_unknown_parameter_is_an_error(tmp_path):
    path = notebook(tmp_path, "b = a")
    with pytest.raises(InputError, match=r"no parameter 'aa' \(nearest: 'a'\); it declares a"):
        execute.refuse_unknown(path, {"aa": 1})


def test_a_failing_cell_is_named_with_its_own_words_and_kept(own_notebooks, tmp_path):
    notebook(own_notebooks, "from hcc_utils.checks import InputError", "raise InputError('no ct')")
    out = tmp_path / "results" / "x"
    with pytest.raises(InputError, match=r"FAILED notebooks/01_cohort.ipynb \(cell 3\), x: no ct"):
        execute.execute("01_cohort", {"a": "2"}, out)
    kept = nbformat.read(out / "notebooks" / "01_cohort.ipynb", as_version=4)
    assert any("no ct" in json.dumps(cell.get("outputs", [])) for cell in kept.cells)
    assert not (out / "01_cohort.done.json").exists()


def test_a_table_left_unwritten_is_an_error(own_notebooks, tmp_path):
    notebook(own_notebooks, "b = a")
    with pytest.raises(InputError, match=r"ended without writing patients.csv, flow.csv"):
        execute.execute("01_cohort", {}, tmp_path / "x")


def test_a_run_records_what_it_read_and_wrote(own_notebooks, tmp_path, capsys):
    out = tmp_path / "x"
    names = results.files("01_cohort", "x")
    write = f"[open({str(out)!r} + '/' + n, 'w').write('1') for n in {names!r}]"
    say = "from hcc_utils.study import progress; progress.say('half way')"
    notebook(own_notebooks, write, say)
    read = tmp_path / "table.csv"
    read.write_text("1")
    looked_at = reading.record(tmp_path, "b")
    results.write_json({"allowed": {"secondary_capture": 3}}, looked_at)
    execute.execute("01_cohort", {"a": "2"}, out, [read, looked_at])
    assert progress.FILE_VARIABLE not in os.environ, "later words are not for this notebook"
    run = json.loads((out / "01_cohort.run.json").read_text())
    one = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"  # sha256sum of "1"
    assert run["inputs_sha256"][str(read)] == one
    assert run["privacy"] == {"b": {"allowed": {"secondary_capture": 3}}}
    assert run["outputs_sha256"] == dict.fromkeys(names, one)
    assert run["parameters"] == {"a": "2"}
    assert "hcc:   x · 01_cohort · half way" in capsys.readouterr().out


BORROWS = plan(data={"development": ["a.csv"]}, borrowed_bundle="results/demo/bundle")


def test_a_borrowed_bundle_reaches_the_network_of_development_alone():
    assert BORROWS.parameters("development", "03_cnn")["bundle"] == "results/demo/bundle"
    assert "results/demo/bundle/bundle.json" in BORROWS.inputs("development", "03_cnn")
    for stage in ("02_preprocessing", "04_comparison", "06_survival"):
        assert "bundle" not in BORROWS.parameters("development", stage)


def test_a_clinical_model_waits_for_no_image():
    alone = replace(BORROWS, models_need_images=False)
    assert alone.inputs("development", "04_comparison") == [
        "results/s/development/01_cohort.done.json"
    ]


def test_a_bundle_that_is_not_there_leaves_its_chapter_out_with_the_reason(tmp_path):
    study = sample_study.manifest(tmp_path, demonstrate_with="demo")
    reason = left_out(study, tmp_path)["03_cnn"]
    assert "has not been run here (demo/bundle holds no bundle)" in reason
    assert str(tmp_path) not in reason
    results.write_json({}, tmp_path / "demo" / "bundle" / "bundle.json")
    assert "03_cnn" not in left_out(study, tmp_path)


def test_a_stage_that_is_given_a_bundle_hands_no_network_on():
    assert "network.safetensors" in results.files("03_cnn", "development")
    own = ("scores_d.csv", "scores_radiomics.csv", "explanation.csv", "shortcuts.csv")
    own += ("pairs_of_centres.csv", "size.csv", "robustness.csv", "spread.csv", "seeds.csv")
    assert results.files("03_cnn", "development", bundle="b") == own


def test_the_papers_choices_run_once_after_every_centre_s_network():
    waits = plan().inputs("as_published", "08_as_published")
    assert waits == [
        "results/s/development/04_comparison.done.json",
        "results/s/x/04_comparison.done.json",
    ]
    given = plan().parameters("as_published", "08_as_published")
    assert given == {"manifest": "m.yaml", "results_root": "results", "profile": "tiny"}
    assert "results/s/as_published/08_as_published.done.json" in plan().everything_done()
    assert "08_as_published" not in plan().stages()


def test_the_controls_run_once_beside_development_with_or_without_a_validation_centre():
    alone = plan(data={"development": ["a.csv"]})
    assert alone.inputs("controls", "09_controls") == [
        "results/s/development/01_cohort.done.json",
        "results/s/development/03_cnn.done.json",
    ]
    given = alone.parameters("controls", "09_controls")
    assert given == {"manifest": "m.yaml", "results_root": "results", "profile": "tiny"}
    for each in (alone, plan()):
        assert "results/s/controls/09_controls.done.json" in each.everything_done()
    assert not [done for done in alone.everything_done() if "08_as_published" in done]


@pytest.mark.parametrize(
    "changes",
    [{"chapters_left_out": {"03_cnn": "no CT"}}, {"demonstrate_with": "demo"}],
    ids=["no network", "another study's network"],
)
def test_without_a_network_of_its_own_a_study_has_no_controls(tmp_path, changes):
    study = sample_study.manifest(tmp_path, **changes)
    assert "no network of its own" in left_out(study, tmp_path)["09_controls"]
    assert "09_controls" not in left_out(sample_study.manifest(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({}, "rows_at_one_site in the manifest", id="several sites"),
        pytest.param(
            {"rows_at_one_site": True, "chapters_left_out": {"03_cnn": "no CT"}},
            "no network of its own",
            id="no network",
        ),
        pytest.param(
            {"rows_at_one_site": True, "chapters_left_out": {"08_as_published": "not wanted"}},
            "not wanted",
            id="by hand",
        ),
    ],
)
def test_the_papers_choices_are_left_out_with_the_reason(tmp_path, changes, said):
    study = sample_study.manifest(tmp_path, **changes)
    assert said in left_out(study, tmp_path)["08_as_published"]


def test_the_papers_choices_need_the_manifest_s_word_alone(tmp_path):
    study = sample_study.manifest(tmp_path, rows_at_one_site=True)
    assert "08_as_published" not in left_out(study, tmp_path)
