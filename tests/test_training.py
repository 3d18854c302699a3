"""Training: learns what is there, nothing where nothing is, and never from whom it scores."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from hcc_utils.checks import InputError
from hcc_utils.evaluation import discrimination
from hcc_utils.models import augmentation, fitting, folds, hardware, scoring, training
from hcc_utils.models.cases import Cases, Job
from hcc_utils.models.ensemble import Ensemble

QUICK = training.Settings(
    epochs=3,
    slices_per_epoch=48,
    batch_size=16,
    filters=(4, 4, 4),
    strides=(4, 4, 2),
    dropout=0.0,
    learning_rate=1e-2,
    threads=1,
    processes=1,
)
Study = tuple[np.ndarray, pd.DataFrame, pd.DataFrame]


def silent(line: str) -> None:
    """Nobody waits."""


def study(*, planted: bool = True, n_patients: int = 40, per_patient: int = 3) -> Study:
    """Patients of whom half have the event; where it is planted, their slices are rougher."""
    draw = np.random.default_rng(1)
    event = np.arange(n_patients) % 2 == 0
    rough = np.where(event & planted, 60, 20).repeat(per_patient)[:, None, None]
    pixels = draw.normal(75, rough, (n_patients * per_patient, 128, 128)).astype(np.int16)
    patients = pd.DataFrame(
        {
            "patient_id": [f"P{n:02d}" for n in range(n_patients)],
            "centre": "hospital_a",
            "aggressive_pd": event,
        }
    )
    slices = pd.DataFrame({"patient_id": patients["patient_id"].repeat(per_patient)})
    return pixels, slices, patients


def weights(network: torch.nn.Module) -> torch.Tensor:
    """All of a network in one row."""
    return torch.cat([value.double().flatten() for value in network.state_dict().values()])


def test_learns_what_is_planted(tmp_path: Path) -> None:
    """Noise of SD 60 against 20 HU: any working network tells them apart."""
    pixels, slices, patients = study()
    fold = folds.assign(patients, seed=1)
    scores, curves = training.cross_fit(
        pixels,
        slices,
        patients,
        fold,
        replace(QUICK, slices_per_epoch=160),
        tmp_path,
        progress=silent,
    )
    assert discrimination.auc(scores.table["event"], scores.table["score"]).auc > 0.9
    assert set(scores.table["origin"]) == {"out_of_fold"}
    assert scores.table["fold"].tolist() == fold.tolist()
    assert set(curves["network"]) == {"fold0", "fold1", "fold2", "fold3", "fold4"}


def test_finds_nothing_where_nothing_is(tmp_path: Path) -> None:
    """At 100 patients the AUC's standard error is about .058: within three of .5."""
    pixels, slices, patients = study(planted=False, n_patients=100, per_patient=1)
    fold = folds.assign(patients, seed=1)
    scores, _ = training.cross_fit(pixels, slices, patients, fold, QUICK, tmp_path, progress=silent)
    auc = discrimination.auc(scores.table["event"], scores.table["score"])
    assert abs(auc.auc - 0.5) < 3 * 0.058


def test_what_is_scored_changes_no_weight(tmp_path: Path) -> None:
    """Other slices and other outcomes in fold 0: its network, and no other's, stays the same."""
    pixels, slices, patients = study()
    fold = folds.assign(patients, seed=1)
    left_out = np.isin(slices["patient_id"], patients["patient_id"][fold == 0])
    changed = np.where(left_out[:, None, None], pixels[::-1], pixels)
    turned = patients.assign(aggressive_pd=patients["aggressive_pd"] ^ (fold == 0))
    kept = {}
    for folder, images, table in (("a", pixels, patients), ("b", changed, turned)):
        training.cross_fit(images, slices, table, fold, QUICK, tmp_path / folder, progress=silent)
        names = sorted((tmp_path / folder).glob("fold*.safetensors"))
        kept[folder] = [name.read_bytes() for name in names]
    assert [a == b for a, b in zip(kept["a"], kept["b"], strict=True)] == [True] + 4 * [False]


def test_each_network_has_the_window_of_its_own_training_part(tmp_path: Path) -> None:
    """Half of every slice at 0, half at 100 HU; those of fold 1 lie 500 HU higher."""
    _, slices, patients = study(n_patients=8, per_patient=2)
    fold = np.arange(8) // 2 % 2
    pixels = np.zeros((16, 128, 128), np.int16)
    pixels[:, :, 64:] = 100
    pixels[fold.repeat(2) == 1] += 500
    settings = replace(QUICK, epochs=1, slices_per_epoch=16, inner_share=0.5)
    settings = replace(settings, window_percentiles=(0, 100))
    given = (pixels, slices, patients)
    training.cross_fit(*given, fold, settings, tmp_path, progress=silent)
    for name, low in (("fold0", 500), ("fold1", 0)):
        kept = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))["settings"]
        assert (kept["window_centre_hu"], kept["window_width_hu"]) == (low + 50, 100)


def test_no_job_scores_whom_it_learns_from() -> None:
    with pytest.raises(InputError, match=r"would score 1 patient\(s\) it learns from"):
        Job(name="fold0", learns=np.array([0, 1, 2]), scores=np.array([2, 3]))


def test_nested_never_sees_the_outer_fold(tmp_path: Path) -> None:
    """Scores inside outer fold 0's loop do not change with fold 0's slices and outcomes."""
    pixels, slices, patients = study(n_patients=24, per_patient=1)
    settings = replace(QUICK, epochs=1, slices_per_epoch=16, inner_share=0.5)
    fold = folds.assign(patients, n_folds=2, seed=1)
    left_out = np.isin(slices["patient_id"], patients["patient_id"][fold == 0])
    changed = np.where(left_out[:, None, None], pixels[::-1], pixels)
    first, curves = training.nested(
        pixels, slices, patients, fold, settings, tmp_path / "a", progress=silent
    )
    other, _ = training.nested(
        changed, slices, patients, fold, settings, tmp_path / "b", progress=silent
    )
    assert curves["network"].nunique() == 4
    assert set(first[0].table["patient_id"]) == set(patients["patient_id"][fold != 0])
    assert first[0].table.equals(other[0].table)
    assert not first[1].table.equals(other[1].table)


@pytest.fixture(name="jobs")
def _jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Job]:
    """Every job that is asked for, by its name; networks stay untrained."""
    asked: dict[str, Job] = {}

    def untrained(
        cases: Cases, job: Job, settings: training.Settings, *_: object
    ) -> tuple[torch.nn.Module, pd.DataFrame]:
        asked[job.name] = job
        return settings.network(), pd.DataFrame({"network": [job.name]})

    monkeypatch.setattr(fitting, "fit", untrained)
    return asked


def test_cross_fit_splits_all_patients_in_two(tmp_path: Path, jobs: dict[str, Job]) -> None:
    """Each fold's network scores the fold and learns from all others; the final scores nobody."""
    pixels, slices, patients = study(n_patients=24, per_patient=1)
    fold = folds.assign(patients, n_folds=3, seed=1)
    training.cross_fit(pixels, slices, patients, fold, QUICK, tmp_path, progress=silent)
    final = jobs.pop("final")
    assert (final.learns.tolist(), final.scores.tolist()) == (list(range(24)), [])
    assert set(jobs) == {"fold0", "fold1", "fold2"}
    for left_out in range(3):
        job = jobs[f"fold{left_out}"]
        assert job.scores.tolist() == np.flatnonzero(fold == left_out).tolist()
        assert job.learns.tolist() == np.flatnonzero(fold != left_out).tolist()
        assert job.chosen_on is None  # else its patients would count as learnt from


def test_no_job_inside_an_outer_fold_meets_its_patients(
    tmp_path: Path, jobs: dict[str, Job]
) -> None:
    """Of nine, each splits the patients of the two other outer folds in two; all are scored."""
    pixels, slices, patients = study(n_patients=24, per_patient=1)
    fold = folds.assign(patients, n_folds=3, seed=1)
    training.nested(pixels, slices, patients, fold, QUICK, tmp_path, progress=silent)
    assert len(jobs) == 9
    for outer in range(3):
        own = [jobs[f"outer{outer}_inner{inner}"] for inner in range(3)]
        others = np.flatnonzero(fold != outer).tolist()
        for job in own:
            assert sorted([*job.learns, *job.scores]) == others
            assert job.chosen_on is None
        assert sorted(np.concatenate([job.scores for job in own])) == others


@pytest.mark.parametrize("filters", [(4, 4, 4), (16, 16, 16)], ids=["plain", "channels last"])
def test_interrupted_goes_on_to_the_same_weights(tmp_path: Path, filters: tuple[int, ...]) -> None:
    """Stopped after the second of three epochs, as by a signal, and called again."""

    class Stop(Exception):
        """As Ctrl-C."""

    said: list[str] = []

    def stop_after_two(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            raise Stop

    given, settings = study(), replace(QUICK, filters=filters)
    whole, curve = training.refit(*given, settings, tmp_path / "whole", progress=silent)
    with pytest.raises(Stop):
        training.refit(*given, settings, tmp_path / "cut", progress=stop_after_two)
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["final.partial.safetensors"]
    later: list[str] = []
    again, curve_again = training.refit(*given, settings, tmp_path / "cut", progress=later.append)
    assert len(later) == 1
    assert torch.equal(weights(again.first), weights(whole.first))
    assert curve_again.equals(curve)


def test_a_full_disk_leaves_the_last_state(tmp_path: Path) -> None:
    """No file may grow beyond 10 kB, where the state needs more; then it may, and goes on."""
    pixels, slices, patients = study()
    given = (pixels, slices, patients)
    lines: list[str] = []

    def fill_up(line: str) -> None:
        lines.append(line)
        if "epoch 2" in line:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(InputError, match=r"final\.partial.* could not be stored.*make room"):
            training.refit(*given, QUICK, tmp_path, progress=fill_up)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    lines.clear()
    found, _ = training.refit(*given, QUICK, tmp_path, progress=lines.append)
    assert "epoch 2 of" in lines[0]
    whole, _ = training.refit(*given, QUICK, tmp_path / "whole", progress=silent)
    torch.testing.assert_close(weights(found.first), weights(whole.first), rtol=0, atol=0)


SHORT_OF_MEMORY = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from test_training import QUICK, study
from hcc_utils.models import training

given = study()
training.refit(*given, replace(QUICK, epochs=1), sys.argv[1] + "/first", progress=str)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1900 * 2**20, resource.RLIM_INFINITY))
large = replace(QUICK, epochs=1, batch_size=8192, slices_per_epoch=8192)
training.refit(*given, large, sys.argv[1], progress=print)
"""


def test_too_little_memory_means_smaller_batches(tmp_path: Path) -> None:
    """
    8192 slices of 128 x 128 in two and in four bytes are .8 GB, their grid 1.1 more: 1.9 are few.

    They are enough for 4096, so that torch says it and never oneDNN, which may crash in place of
    it: with 600 MB it did so in 3 of 30 runs. In a process of its own, for what once lacked memory
    may fail for ever after.
    """
    seen = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(tmp_path)]
    run = subprocess.run(command, env=seen, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    lines = run.stdout.splitlines()
    assert "memory holds no batch of 8192 slices; trained anew with 4096" in lines[0]
    assert "epoch 1 of at most 1" in lines[-1]


def test_finished_network_is_found_again(tmp_path: Path) -> None:
    given = study()
    first, curve = training.refit(*given, QUICK, tmp_path, progress=silent)
    said: list[str] = []
    again, curve_again = training.refit(*given, QUICK, tmp_path, progress=said.append)
    assert said == []
    assert torch.equal(weights(again.first), weights(first.first))
    assert curve_again.equals(curve)


@pytest.mark.parametrize("what", ["settings", "pixel", "outcome", "name", "damage"])
def test_another_training_is_trained_anew(tmp_path: Path, what: str) -> None:
    pixels, slices, patients = study()
    settings = replace(QUICK, epochs=1)
    training.refit(pixels, slices, patients, settings, tmp_path, progress=silent)
    if what == "settings":
        settings = replace(settings, seed=2)
    elif what == "pixel":
        pixels[0, 0, 0] += 1
    elif what == "outcome":
        patients["aggressive_pd"] = ~patients["aggressive_pd"]
    elif what == "name":
        patients["patient_id"], slices["patient_id"] = (
            table["patient_id"].str.lower() for table in (patients, slices)
        )
    else:
        path = tmp_path / "final.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    said: list[str] = []
    training.refit(pixels, slices, patients, settings, tmp_path, progress=said.append)
    assert len(said) == 1


def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    pixels, slices, patients = study(n_patients=12, per_patient=1)
    settings = replace(QUICK, epochs=1, slices_per_epoch=16, inner_share=0.5)
    fold = folds.assign(patients, n_folds=2, seed=1)
    tables = [
        training.cross_fit(
            pixels,
            slices,
            patients,
            fold,
            replace(settings, processes=processes),
            tmp_path / str(processes),
            progress=silent,
        )[0].table
        for processes in (1, 2)
    ]
    assert tables[0].equals(tables[1])


def test_score_is_the_mean_of_the_slices(tmp_path: Path) -> None:
    """Slices in any order; those of patients who are not asked for are left aside."""
    pixels, slices, patients = study(n_patients=4)
    torch.manual_seed(0)
    network = QUICK.network()
    each = scoring.slice_scores(network, pixels, QUICK)
    order = np.random.default_rng(0).permutation(len(slices))
    asked = patients.iloc[[3, 1]]
    alone = Ensemble([network], QUICK)
    scores = training.scores(alone, pixels[order], slices.iloc[order], asked)
    assert scores.table["score"].tolist() == pytest.approx([each[9:].mean(), each[3:6].mean()])
    assert set(scores.table["origin"]) == {"external"}


def test_scoring_folds_normalisations_and_leaves_the_network_as_it_was() -> None:
    """The network's own softmax of the same windowed slices, its statistics drawn at random."""
    torch.manual_seed(0)
    network = QUICK.network()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    spread = np.linspace(0, 300, 32)[:, None, None]
    pixels = np.random.default_rng(0).normal(75, spread, (32, 128, 128)).astype(np.int16)
    before = weights(network)
    found = scoring.slice_scores(network, pixels, QUICK)
    assert network.training
    assert torch.equal(weights(network), before)
    images = augmentation.windowed(torch.from_numpy(pixels), QUICK).cpu()
    with torch.inference_mode():
        expected = network.eval().slice_scores(images)
    assert np.ptp(expected.numpy()) > 1e-3  # a thousand times what may differ
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("filters", "strides", "last"),
    [
        pytest.param((16, 16, 16), (2, 2, 2), True, id="wide"),
        pytest.param((8, 16, 16), (2, 2, 2), False, id="narrow before a strided block"),
        pytest.param((8, 16, 16), (4, 1, 2), True, id="narrow before another"),
    ],
)
def test_layout_keeps_from_the_convolution_that_overwrites_memory(
    filters: tuple[int, ...], strides: tuple[int, ...], last: bool
) -> None:
    """Guard pages behind each block of memory: strided 1 x 1 with few channels alone met them."""
    network = hardware.placed(replace(QUICK, filters=filters, strides=strides).network())
    weight = network.blocks[2].main[0][0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == last
    assert weight.is_contiguous() != last


def test_draws_are_balanced_by_outcome_and_by_patient() -> None:
    """
    One event with 1 slice, two non-events with 1 and 3 slices.

    Half the chance to the event: 1/2. Half of the other half to each non-event: 1/4, and
    1/12 for each of three slices; the weights are those times 2.
    """
    patients = pd.DataFrame({"event": [True, False, False]})
    cases = Cases(np.empty((5, 128, 128), np.int16), np.array([0, 1, 2, 2, 2]), patients)
    weight = fitting._balanced(cases, np.arange(5))
    assert (weight / 2).tolist() == pytest.approx([1 / 2, 1 / 4, 1 / 12, 1 / 12, 1 / 12])


def test_window_by_hand() -> None:
    """Centre 75, width 350: -100 HU is 0, 75 is 1/2, 250 is 1, and beyond is clipped."""
    pixels = torch.tensor([-1000, -100, 75, 250, 3000], dtype=torch.int16).reshape(5, 1, 1)
    assert augmentation.windowed(pixels, QUICK).flatten().tolist() == pytest.approx(
        [0, 0, 0.5, 1, 1]
    )


def test_augmentation_of_nothing_changes_nothing() -> None:
    still = replace(QUICK, shift_share=0, shear=0, zoom=0, rotation_degrees=0, noise_rate=0)
    images = torch.rand(3, 1, 128, 128)
    torch.testing.assert_close(augmentation.augmented(images, still), images, atol=1e-4, rtol=0)


def test_grid_is_torchs() -> None:
    moves = torch.rand(3, 2, 3)
    theirs = torch.nn.functional.affine_grid(moves, [3, 1, 8, 8], align_corners=False)
    torch.testing.assert_close(augmentation._grid(moves, 8), theirs)


def test_noise_has_its_rate_and_its_size() -> None:
    """Of 400 flat images half are noisy (SE .025), with an SD of 0.03 (SE of the mean < 1e-4)."""
    settings = replace(QUICK, noise_rate=0.5, noise_sd=0.03)
    torch.manual_seed(0)
    sd = augmentation.augmented(torch.full((400, 1, 128, 128), 0.5), settings).std(dim=(1, 2, 3))
    noisy = sd > 1e-3
    assert noisy.double().mean().item() == pytest.approx(0.5, abs=0.1)
    assert sd[noisy].mean().item() == pytest.approx(0.03, abs=5e-4)


def test_the_papers_copies_are_of_events_alone_and_all_noisy() -> None:
    """
    One event with 2 slices, two non-events with 2 and 3: three copies make five of each.

    The paper's variance of 0.1 is an SD of 0.316; images that are no copy stay as they are.
    """
    patients = pd.DataFrame({"event": [True, False, False]})
    rows = np.array([0, 0, 1, 1, 2, 2, 2])
    cases = Cases(np.empty((7, 128, 128), np.int16), rows, patients)
    slices, copied, weight = fitting._with_noisy_copies(cases, np.arange(7))
    assert slices.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1, 0]
    assert copied.tolist() == [False] * 7 + [True] * 3
    assert weight.tolist() == [1] * 10
    still = replace(QUICK.as_published, shift_share=0, shear=0, zoom=0, rotation_degrees=0)
    torch.manual_seed(0)
    images = augmentation.augmented(torch.full((10, 1, 128, 128), 0.5), still, copied)
    sd = images.std(dim=(1, 2, 3))
    assert sd[:7].tolist() == [0] * 7
    assert sd[7:].tolist() == pytest.approx([0.1**0.5] * 3, rel=0.03)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"balancing": "luck"}, "balancing must be one of", id="balancing"),
        pytest.param({"epochs": 0}, "epochs must be at least 1; got 0", id="epochs"),
        pytest.param({"learning_rate": -1.0}, "learning_rate must be above 0", id="rate"),
        pytest.param({"noise_rate": 1.2}, "noise_rate must hold probabilities", id="noise"),
        pytest.param({"inner_share": 0.9}, r"inner_share must be in \(0, 0.5\]", id="inner"),
        pytest.param({"slices_per_epoch": 3}, "slices_per_epoch must be at least 16", id="slices"),
    ],
)
def test_settings_of_no_training_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(QUICK, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param("float", "pixels_hu must be int16", id="not int16"),
        pytest.param("short", "for each of the 119 rows", id="a row too few"),
        pytest.param("without", "1 of 40 have none, first 'P07'", id="patient with no slice"),
        pytest.param("twice", "'P00' stands twice", id="patient twice"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, change: str, message: str) -> None:
    pixels, slices, patients = study()
    if change == "float":
        pixels = pixels.astype(float)
    elif change == "short":
        slices = slices.iloc[:-1]
    elif change == "without":
        slices = slices.replace("P07", "P08")
    else:
        patients = pd.concat([patients, patients.iloc[[0]]])
    with pytest.raises(InputError, match=message):
        training.refit(pixels, slices, patients, QUICK, tmp_path, progress=silent)


def test_folds_that_skip_a_number_are_named(tmp_path: Path) -> None:
    pixels, slices, patients = study()
    fold = np.arange(40) % 2 * 2
    with pytest.raises(InputError, match=r"fold must hold 0, 1, .* it holds \[0, 2\]"):
        training.cross_fit(pixels, slices, patients, fold, QUICK, tmp_path, progress=silent)


@pytest.mark.parametrize("how", [QUICK, QUICK.as_published], ids=["draws", "noisy copies"])
def test_constant_slices_teach_nothing(tmp_path: Path, how: training.Settings) -> None:
    """Every slice is 50 HU, so all whom one network scores have one score, and no AUC but .5."""
    pixels, slices, patients = study(n_patients=20, per_patient=1)
    fold = folds.assign(patients, n_folds=2, seed=1)
    scores, curves = training.cross_fit(
        np.full_like(pixels, 50), slices, patients, fold, how, tmp_path, progress=silent
    )
    assert scores.table["score"].between(0, 1).all()
    assert scores.table["score"].groupby(fold).nunique().tolist() == [1, 1]
    assert set(curves["inner_auc"]) == {0.5}


def test_a_fold_without_an_event_is_scored_by_the_others(tmp_path: Path) -> None:
    """Patients 1, 7, 13, ... of whom none has the event are fold 0; the others have both."""
    pixels, slices, patients = study(per_patient=1)
    number = np.arange(40)
    fold = np.where(number % 6 == 1, 0, 1 + number // 2 % 2)
    assert not patients["aggressive_pd"][fold == 0].any()
    settings = replace(QUICK, epochs=1, slices_per_epoch=16)
    scores, _ = training.cross_fit(
        pixels, slices, patients, fold, settings, tmp_path, progress=silent
    )
    assert scores.table["score"].between(0, 1).all()


@pytest.mark.parametrize(
    ("events", "message"),
    [
        pytest.param(0, "'final' learns from 40 patients.* at least 5 events; there are 0", id="0"),
        pytest.param(4, "one in 5 of them with both outcomes.* there are 4", id="fewer than parts"),
        pytest.param(40, "at least 5 non-events; there are 0", id="all"),
    ],
)
def test_no_inner_split_has_one_class_only(tmp_path: Path, events: int, message: str) -> None:
    pixels, slices, patients = study(per_patient=1)
    patients["aggressive_pd"] = np.arange(40) < events
    with pytest.raises(InputError, match=message):
        training.refit(pixels, slices, patients, QUICK, tmp_path, progress=silent)


def test_a_fold_that_holds_all_events_is_named(tmp_path: Path) -> None:
    """The network of the other fold has no event to learn from."""
    pixels, slices, patients = study(per_patient=1)
    fold = np.where(patients["aggressive_pd"], 0, 1)
    with pytest.raises(InputError, match=r"'fold0' learns from 20 patients.* events; there are 0"):
        training.cross_fit(pixels, slices, patients, fold, QUICK, tmp_path, progress=silent)


def test_profiles_are_the_same_method() -> None:
    """Only the work differs: passes, patience, slices a pass, and how it is shared out."""
    work = {"epochs", "patience", "slices_per_epoch", "threads", "processes"}
    full = vars(training.PROFILES["full"])
    for profile in training.PROFILES.values():
        assert {name for name in full if vars(profile)[name] != full[name]} <= work
