"""Processes started by torchrun: one network, alike in all, by the mean of all their gradients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_study
import torch
from test_training import QUICK, study, weights

from hcc_utils.checks import InputError
from hcc_utils.models import __main__ as command
from hcc_utils.models import fitting, folds, hardware, ranks, training
from hcc_utils.models.cases import Cases, Job
from hcc_utils.study import results

BATCH = torch.arange(0, 48, 3)
# nothing is moved or left out at random: both processes' slices are known
STILL = replace(QUICK, shift_share=0, shear=0, zoom=0, rotation_degrees=0, noise_rate=0)
GIVEN = study(n_patients=20)
FOLD = folds.assign(GIVEN[2], n_folds=2, seed=1)

TWO = """
import sys
import numpy as np
from test_distributed import BATCH, FOLD, GIVEN, STILL, gradient
from test_training import weights
from hcc_utils.models import ranks, training

folder, lines = sys.argv[1], []
with ranks.joined():
    step = gradient(BATCH[ranks.own() :: ranks.number()])
    scores, _ = training.cross_fit(*GIVEN, FOLD, STILL, folder, progress=lines.append)
    ensemble, _ = training.refit(*GIVEN, STILL, folder, progress=lines.append)
    np.savez(
        f"{folder}/rank{ranks.own()}",
        gradient=step,
        lines=len(lines),
        scores=scores.table["score"],
        weights=weights(ensemble.first),
    )
"""


def gradient(slices: torch.Tensor) -> np.ndarray:
    """What a fresh network's first step goes along, from these slices."""
    cases, everyone = Cases.of(*GIVEN, "aggressive_pd"), np.arange(20)
    with hardware.threads(1):
        run = fitting.Training(cases, Job(name="one", learns=everyone, scores=everyone[:0]), STILL)
        run.network.train()
        run._step(0, slices)
    found = [weight.grad.flatten() for weight in run.network.parameters()]
    return torch.cat(found).numpy()


@pytest.fixture(name="two", scope="module")
def _two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left; of the final network one process had done two epochs of three."""

    class Stop(Exception):
        """As Ctrl-C."""

    def stop_after_two(line: str) -> None:
        if "epoch 3" in line:
            raise Stop

    folder = tmp_path_factory.mktemp("two")
    with pytest.raises(Stop):
        training.refit(*GIVEN, STILL, folder, progress=stop_after_two)
    (folder / "two.py").write_text(TWO, "utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    seen = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [*launch, folder / "two.py", folder], env=seen, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return folder


def ends(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """What both processes ended with."""
    one, other = (np.load(folder / f"rank{rank}.npz")[name] for rank in (0, 1))
    return one, other


@pytest.mark.parametrize("what", ["weights", "scores"])
def test_both_processes_end_with_the_same_network(two: Path, what: str) -> None:
    """To the bit, with the running statistics of batch normalisation."""
    np.testing.assert_array_equal(*ends(two, what))


def test_a_step_goes_along_the_mean_of_both_halves_gradients(two: Path) -> None:
    """
    Every second slice each; one process alone computes both halves here.

    So it is no step of one process on the whole batch: batch normalisation sees half of it.
    """
    one, other = ends(two, "gradient")
    halves = (gradient(BATCH[0::2]) + gradient(BATCH[1::2])) / 2
    np.testing.assert_allclose(one, halves, rtol=0, atol=1e-6 * np.abs(halves).max())
    np.testing.assert_array_equal(one, other)


def test_the_first_process_alone_says_how_far_they_are(two: Path) -> None:
    """Two folds' networks of three epochs, and the third epoch of the final one."""
    assert ends(two, "lines") == (7, 0)


def test_one_process_finds_what_two_have_trained(two: Path) -> None:
    said: list[str] = []
    scores, _ = training.cross_fit(*GIVEN, FOLD, STILL, two, progress=said.append)
    ensemble, _ = training.refit(*GIVEN, STILL, two, progress=said.append)
    assert said == []
    np.testing.assert_array_equal(scores.table["score"], ends(two, "scores")[0])
    np.testing.assert_array_equal(weights(ensemble.first), ends(two, "weights")[0])


@pytest.mark.parametrize(
    ("network", "expected"), [("fold0", [2, 2, 2]), ("fold1", [2, 2, 2]), ("final", [1, 1, 2])]
)
def test_a_network_says_how_many_trained_it(two: Path, network: str, expected: list[int]) -> None:
    """The final one was taken over after two epochs."""
    record = json.loads((two / f"{network}.json").read_text("utf-8"))
    assert [epoch["ranks"] for epoch in record["curve"]] == expected


def test_a_batch_that_cannot_be_shared_evenly_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "number", lambda: 3)
    with pytest.raises(InputError, match="3 processes cannot share a batch of 16 slices evenly"):
        gradient(BATCH)


def test_the_command_trains_what_chapter_03_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of profile full: five folds, the final one, the noise probe's, and five times five nested."""
    monkeypatch.setitem(
        training.PROFILES, "full", replace(QUICK, epochs=1, slices_per_epoch=16, inner_share=0.5)
    )
    manifest = small_study.write(tmp_path)
    here = tmp_path / "small" / "development"
    pixels, slices, patients = study(per_patient=1)
    results.write_table(patients, here / "patients.csv")
    results.write_table(slices, here / "slices.csv")
    results.write_json({}, here / "preprocessing.json")
    np.save(here / "slices.npy", pixels)
    command.train(["-m", str(manifest), "--profile", "full", "--results", str(tmp_path)])
    found = {str(path.relative_to(here / "networks")) for path in here.rglob("networks/**/*.json")}
    nested = {f"outer{outer}_inner{inner}" for outer in range(5) for inner in range(5)}
    fitted = {f"fold{number}" for number in range(5)} | {"final", "as_published/fold0"} | nested
    assert found == {f"{name}.json" for name in fitted}
