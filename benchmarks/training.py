"""How fast Model D's network is trained and applied, beside other loops and what the machine can.

python benchmarks/training.py [--slices N] [--seconds S] [--keras PYTHON]

The same network, batch and ranges of augmentation, each task in a process of its own, three times
in turn; the best of each is printed. What stands beside the project's training:

plain        fp32, DataLoader, AdamW, torch's memory as it comes, two threads; it is given the
             project's own augmentation of whole batches, so that only the loop is compared
each image   the same with each image augmented by itself in the Dataset, as it is mostly written
Keras        its own augmentation layers and `fit`, if --keras names a Python that has keras and
             tensorflow (`python -m venv K && K/bin/pip install keras tensorflow-cpu`)

A single network has two threads; "two at a time" are two networks with a thread each, which is how
chapter 03 trains; the plain loop is measured both ways. On a machine that does other work the
figures mean nothing: the table begins with how much it did. benchmarks/training_memory.py measures
memory.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

from hcc_utils.models import augmentation, fitting, hardware, scoring, training
from hcc_utils.models.cases import Cases, Job
from hcc_utils.models.network import SIZE

THREADS = 2
BATCH = 32
SETTINGS = training.Settings(batch_size=BATCH, threads=THREADS, processes=1)
KERAS = Path(__file__).with_name("keras_loop.py")


def study(n_slices: int) -> tuple[np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Ten slices a patient, one patient in three with the event."""
    n_patients = n_slices // 10
    pixels = np.random.default_rng(0).integers(-50, 200, (n_slices, SIZE, SIZE), dtype=np.int16)
    patients = pd.DataFrame(
        {
            "patient_id": [f"P{number:04d}" for number in range(n_patients)],
            "centre": "hospital_a",
            "event": np.arange(n_patients) % 3 == 0,
        }
    )
    return pixels, pd.DataFrame({"patient_id": patients["patient_id"].repeat(10)}), patients


def rate(step: Callable[[], int], seconds: float) -> float:
    """Slices a second of a step that says how many it took, after one to warm up."""
    step()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        done += step()
    return done / (time.perf_counter() - began)


class EachImage(Dataset):
    """Images augmented one by one."""

    def __init__(self, images: torch.Tensor, event: torch.Tensor) -> None:
        self.images, self.event = images, event

    def __len__(self) -> int:
        """How many."""
        return len(self.images)

    def __getitem__(self, at: int) -> tuple[torch.Tensor, torch.Tensor]:
        """An image and its outcome."""
        image = self.images[at : at + 1].clone()
        return augmentation.augmented(image, SETTINGS)[0], self.event[at]


def data(n_slices: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Windowed images and outcomes."""
    pixels, _, patients = study(n_slices)
    event = torch.from_numpy(patients["event"].to_numpy().repeat(10)).long()
    return augmentation.windowed(torch.from_numpy(pixels), SETTINGS), event


def plain(n_slices: int, seconds: float, threads: int = THREADS) -> dict[str, float]:
    """The loop as users write it."""
    moved = functools.partial(augmentation.augmented, settings=SETTINGS)
    return loop(TensorDataset(*data(n_slices)), moved, seconds, threads)


def plain_thread(n_slices: int, seconds: float) -> dict[str, float]:
    """The loop as users write it, on one thread."""
    return plain(n_slices, seconds, threads=1)


def each_image(n_slices: int, seconds: float) -> dict[str, float]:
    """The same, with each image augmented by itself."""
    return loop(EachImage(*data(n_slices)), lambda images: images, seconds)


def loop(
    dataset: Dataset,
    moved: Callable[[torch.Tensor], torch.Tensor],
    seconds: float,
    threads: int = THREADS,
) -> dict[str, float]:
    """A loop over a DataLoader."""
    torch.set_num_threads(threads)
    batches = iter(())
    loader = DataLoader(dataset, BATCH, shuffle=True, drop_last=True)
    network = SETTINGS.network().train()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)

    def step() -> int:
        nonlocal batches
        drawn = next(batches, None)
        if drawn is None:
            batches = iter(loader)
            drawn = next(batches)
        image, target = drawn
        loss = functional.cross_entropy(network(moved(image)), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return len(image)

    return {"rate": rate(step, seconds)}


def ours(n_slices: int, seconds: float, threads: int = THREADS) -> dict[str, float]:
    """The project's training, whole epochs with the scoring of the inner split left out."""
    cases = Cases.of(*study(n_slices), "event")
    everyone = np.arange(len(cases.patients))
    with hardware.threads(threads):
        job = Job(name="bench", learns=everyone, scores=everyone[:0])
        run = fitting.Training(cases, job, SETTINGS)
        run.network.train()

        def step() -> int:
            run._step(0, torch.multinomial(run.weights, BATCH, replacement=True))
            return BATCH

        def seen() -> int:
            images = augmentation.windowed(torch.from_numpy(cases.pixels_hu[:BATCH]), SETTINGS)
            return len(augmentation.augmented(images, SETTINGS))

        found = rate(step, seconds)
        share = found / rate(seen, seconds / 4)
    return {"rate": found, "augmentation": share}


def a_thread(n_slices: int, seconds: float) -> dict[str, float]:
    """The project's training on one thread."""
    return ours(n_slices, seconds, threads=1)


def inference(n_slices: int, seconds: float) -> dict[str, float]:
    """Slices scored a second."""
    pixels, *_ = study(n_slices)
    network = SETTINGS.network().eval()

    def step() -> int:
        return len(scoring.slice_scores(network, pixels, SETTINGS))

    return {"rate": rate(step, seconds)}


def multiplication(n_slices: int, seconds: float) -> dict[str, float]:
    """Multiplications and additions a second of large matrices, in the kind that trains."""
    del n_slices
    torch.set_num_threads(THREADS)
    kind = torch.bfloat16 if hardware.in_bfloat16() else torch.float32
    one = torch.rand(2048, 2048).to(kind)

    def step() -> int:
        torch.mm(one, one)
        return 2 * 2048**3

    return {"rate": rate(step, seconds / 4)}


def operations() -> int:
    """Multiplications and additions of one slice forth; training takes three times as many."""
    network = SETTINGS.network().eval()
    total = 0

    def count(layer: torch.nn.Module, _: Any, out: torch.Tensor) -> None:
        nonlocal total
        weight = layer.weight
        total += 2 * weight.numel() * (out[0, 0].numel() if out.ndim == 4 else 1)

    for layer in network.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.zeros(1, 1, SIZE, SIZE))
    return total


TASKS = {
    task.__name__: task
    for task in (plain, plain_thread, each_image, ours, a_thread, inference, multiplication)
}


PAIRED = ("plain_thread", "a_thread")


def children(task: str, asked: argparse.Namespace, *, at_a_time: int = 1) -> list[dict[str, float]]:
    """A task's figures from processes of their own, for what one does to memory helps others."""
    command = [sys.executable, __file__, "--task", task]
    command += ["--slices", str(asked.slices), "--seconds", str(asked.seconds)]
    return run([command] * at_a_time)


def keras(asked: argparse.Namespace) -> dict[str, float]:
    """The figures of Keras."""
    what = {
        name: getattr(SETTINGS, name)
        for name in (
            *("filters", "strides", "dropout", "shift_share", "shear", "zoom"),
            *("rotation_degrees", "noise_sd", "threads"),
        )
    }
    what |= {"size": SIZE, "batch": BATCH, "slices": asked.slices // 2}
    return run([[asked.keras, str(KERAS), json.dumps(what)]])[0]


def run(commands: list[list[str]]) -> list[dict[str, float]]:
    """What processes that run at the same time print last."""
    pipes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    said = [pipe.communicate()[0] for pipe in pipes]
    return [json.loads(text.splitlines()[-1]) for text in said]


def once(asked: argparse.Namespace) -> dict[str, float]:
    """Each task's figures, measured in turn."""
    found = {
        f"{task} pair": sum(one["rate"] for one in children(task, asked, at_a_time=2))
        for task in PAIRED
    }
    for task in TASKS:
        found |= {f"{task} {key}": value for key, value in children(task, asked)[0].items()}
    return found | ({"keras": keras(asked)["rate"]} if asked.keras else {})


def table(runs: pd.DataFrame) -> pd.Series:
    """The figures as they are printed."""
    best, share = runs.max(), runs["a_thread augmentation"]
    gemm = best["multiplication rate"]
    one, pair = best["ours rate"], best["a_thread pair"]
    peers = {"plain": best["plain rate"], "plain, two at a time": best["plain_thread pair"]}
    peers |= {"each image": best["each_image rate"]}
    peers |= {"Keras": best["keras"]} if "keras" in best else {}
    rows = {f"{name}, slices/s": f"{found:.0f}" for name, found in peers.items()}
    for name, found in (("ours", one), ("ours, two at a time", pair)):
        rows[f"{name}, slices/s"] = f"{found:.0f}"
        rows |= {f"{name} / {peer}": f"{found / theirs:.2f}" for peer, theirs in peers.items()}
        used = 3 * operations() * found / gemm
        rows[f"{name}, share of large matrices' speed"] = f"{used:.0%} of {gemm / 1e9:.0f} GFLOP/s"
    rows["augmentation's share of training"] = f"{share.min():.1%} to {share.max():.1%}"
    rows["scored, slices/s"] = f"{best['inference rate']:.0f}"
    return pd.Series(rows)


def main() -> None:
    """Measure each task three times, in turn, and print the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--keras", metavar="PYTHON")
    parser.add_argument("--task", choices=TASKS)
    asked = parser.parse_args()
    if asked.task:
        print(json.dumps(TASKS[asked.task](asked.slices, asked.seconds)))
        return
    print(f"before the first task, processors were busy for {psutil.cpu_percent(3):.0f} % of 3 s")
    runs = pd.DataFrame([once(asked) for _ in range(3)])
    print(table(runs).rename("best of 3").to_frame().to_markdown())


if __name__ == "__main__":
    main()
