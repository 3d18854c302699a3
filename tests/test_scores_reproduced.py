"""A stored bundle gives its scores again: in another process, and on other threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hcc_utils.models import augmentation, scoring
from hcc_utils.models.bundle import Bundle
from hcc_utils.models.settings import Settings

AFRESH = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from hcc_utils.models import scoring
from hcc_utils.models.bundle import Bundle

folder = Path(sys.argv[1])
bundle = Bundle.read(folder)
for threads in (1, 2):
    settings = replace(bundle.settings, threads=threads)
    again = scoring.slice_scores(bundle.network, np.load(folder / "slices.npy"), settings)
    np.save(folder / f"again_{threads}.npy", again)
"""


@pytest.fixture(scope="module", name="stored")
def _stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of the default size, its scores of slices unlike each other, and those again."""
    folder = tmp_path_factory.mktemp("bundle")
    settings = Settings(threads=1)
    draw = np.random.default_rng(1)
    rough = draw.uniform(10, 150, (40, 1, 1))
    pixels = draw.normal(75, rough, (40, 128, 128)).astype(np.int16)
    torch.manual_seed(1)
    network = settings.network()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1  # one pass, and it knows these slices as if it were trained on them
    with torch.no_grad():
        network.train()(augmentation.windowed(torch.from_numpy(pixels), settings))
    Bundle(network=network, settings=settings, preprocessing={}).write(folder)
    np.save(folder / "slices.npy", pixels)
    np.save(folder / "scores.npy", scoring.slice_scores(network, pixels, settings))
    seen = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", AFRESH, str(folder)], env=seen, check=True)
    return folder


@pytest.mark.parametrize(("threads", "within"), [(1, 1e-6), (2, 0.01)])
def test_another_process_gives_the_same_scores(stored: Path, threads: int, within: float) -> None:
    """Slices differ from each other by far more than their scores may from themselves."""
    scores, again = (np.load(stored / f"{name}.npy") for name in ("scores", f"again_{threads}"))
    assert np.ptp(scores) > 0.5
    np.testing.assert_allclose(again, scores, rtol=0, atol=within)
