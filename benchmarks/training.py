"""How fast Model D's network is trained and applied, beside a plain loop and what the machine can.

python benchmarks/training.py [--slices N] [--seconds S]

One run, one process of two threads each, the same network, batch and augmentation: the loop as
users write it (fp32, DataLoader, torch's memory as it comes), and the project's. Prints slices a
second, the ratio, the share of this machine's measured matrix multiplication, the share of time
that augmentation takes, and slices scored a second.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from hcc_utils.models import augmentation, fitting, hardware, scoring, training
from hcc_utils.models.cases import Cases, Job
from hcc_utils.models.network import SIZE

THREADS = 2
BATCH = 32
SETTINGS = training.Settings(batch_size=BATCH, threads=THREADS, processes=1)


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


def plain(n_slices: int, seconds: float) -> dict[str, float]:
    """The loop as users write it."""
    torch.set_num_threads(THREADS)
    pixels, _, patients = study(n_slices)
    event = torch.from_numpy(patients["event"].to_numpy().repeat(10)).long()
    images = augmentation.windowed(torch.from_numpy(pixels), SETTINGS)
    batches = iter(())
    loader = DataLoader(TensorDataset(images, event), BATCH, shuffle=True, drop_last=True)
    network = SETTINGS.network().train()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)

    def step() -> int:
        nonlocal batches
        drawn = next(batches, None)
        if drawn is None:
            batches = iter(loader)
            drawn = next(batches)
        image, target = drawn
        loss = functional.cross_entropy(network(augmentation.augmented(image, SETTINGS)), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return len(image)

    return {"rate": rate(step, seconds)}


def ours(n_slices: int, seconds: float) -> dict[str, float]:
    """The project's training, whole epochs with the scoring of the inner split left out."""
    cases = Cases.of(*study(n_slices), "event")
    everyone = np.arange(len(cases.patients))
    with hardware.threads(THREADS):
        job = Job(name="bench", learns=everyone, scores=everyone[:0])
        run = fitting.Training(cases, job, SETTINGS)
        run.network.train()
        batch = torch.multinomial(run.weights, BATCH, replacement=True)
        spent = 0.0

        def step() -> int:
            run._step(0, batch)
            return BATCH

        found = rate(step, seconds)
        pixels = torch.from_numpy(cases.pixels_hu[:BATCH])
        images = augmentation.windowed(pixels, SETTINGS)
        spent = 1 / rate(lambda: len(augmentation.augmented(images, SETTINGS)), seconds / 4)
    return {"rate": found, "augmentation": spent * found}


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


TASKS = {task.__name__: task for task in (plain, ours, inference, multiplication)}


def child(task: str, n_slices: int, seconds: float) -> dict[str, float]:
    """A task's figures from a process of its own: what one does to memory must not help others."""
    command = [sys.executable, __file__, "--task", task]
    command += ["--slices", str(n_slices), "--seconds", str(seconds)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(said.splitlines()[-1])


def main() -> None:
    """Measure each task three times, in turn, and print the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--task", choices=TASKS)
    asked = parser.parse_args()
    if asked.task:
        print(json.dumps(TASKS[asked.task](asked.slices, asked.seconds)))
        return
    runs = [{task: child(task, asked.slices, asked.seconds) for task in TASKS} for _ in range(3)]
    best = {
        task: {key: max(run[task][key] for run in runs) for key in runs[0][task]} for task in TASKS
    }
    gemm = best["multiplication"]["rate"]
    share = 3 * operations() * best["ours"]["rate"] / gemm
    rows = {
        "plain loop, slices/s": f"{best['plain']['rate']:.0f}",
        "ours, slices/s": f"{best['ours']['rate']:.0f}",
        "ratio": f"{best['ours']['rate'] / best['plain']['rate']:.2f}",
        "share of large matrices' speed": f"{share:.1%} of {gemm / 1e9:.0f} GFLOP/s",
        "augmentation's share of training": f"{best['ours']['augmentation']:.1%}",
        "scored, slices/s": f"{best['inference']['rate']:.0f}",
    }
    print(pd.Series(rows, name="best of 3").to_frame().to_markdown())


if __name__ == "__main__":
    main()
