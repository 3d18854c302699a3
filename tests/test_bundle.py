"""A bundle comes back as it went, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from hcc_utils.checks import InputError
from hcc_utils.models import record
from hcc_utils.models.bundle import WEIGHTS, Bundle
from hcc_utils.models.settings import Settings
from hcc_utils.study.results import sha256


@pytest.fixture(name="bundle")
def _bundle() -> Bundle:
    """A network with random weights, and a little in each section."""
    settings = Settings(filters=(2, 2, 4), strides=(4, 4, 2))
    torch.manual_seed(1)
    return Bundle(
        network=settings.network().eval(),
        settings=settings,
        preprocessing={"margin_pixels": 5, "size": 128},
        thresholds={"csd": 0.1 + 0.2},
        training_centres=["hospital_a"],
        seed=7,
    )


def test_comes_back_to_the_bit(bundle: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path)
    again = Bundle.read(tmp_path)
    images = torch.rand(2, 1, 128, 128)
    with torch.no_grad():
        assert torch.equal(again.network.slice_scores(images), bundle.network.slice_scores(images))
    assert (again.settings, again.preprocessing) == (bundle.settings, bundle.preprocessing)
    assert (again.thresholds, again.seed) == ({"csd": 0.1 + 0.2}, 7)


def test_an_ensemble_comes_back_whole(bundle: Bundle, tmp_path: Path) -> None:
    """Two members; the first is stored as if it stood alone."""
    bundle.write(tmp_path / "one")
    replace(bundle, others=[bundle.settings.network().eval()]).write(tmp_path / "two")
    alone, both = (load_file(tmp_path / name / WEIGHTS) for name in ("one", "two"))
    assert len(both) == 2 * len(alone)
    assert all(torch.equal(both[name], weight) for name, weight in alone.items())
    again = Bundle.read(tmp_path / "two")
    assert again.settings.members == len(again.ensemble.members) == 2
    for name, weight in again.others[0].state_dict().items():
        assert torch.equal(weight, both[f"member2.{name}"])
    assert Bundle.read(tmp_path / "one").settings == bundle.settings


@pytest.mark.parametrize("place", [0, 200, -1])
def test_flipped_byte_of_the_weights_is_refused(bundle: Bundle, tmp_path: Path, place: int) -> None:
    bundle.write(tmp_path)
    content = bytearray((tmp_path / WEIGHTS).read_bytes())
    content[place] ^= 1
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(InputError, match=r"SHA-256 differs\. Copy the bundle again"):
        Bundle.read(tmp_path)


@pytest.mark.parametrize(
    ("section", "value"),
    [("preprocessing", {"margin_pixels": 6, "size": 128}), ("thresholds", {"csd": 0.2})],
)
def test_changed_record_is_refused(
    bundle: Bundle, tmp_path: Path, section: str, value: object
) -> None:
    bundle.write(tmp_path)
    content = json.loads((tmp_path / record.NAME).read_text())
    (tmp_path / record.NAME).write_text(json.dumps(content | {section: value}))
    with pytest.raises(InputError, match="changed since it was written"):
        Bundle.read(tmp_path)


def test_reformatted_record_is_accepted(bundle: Bundle, tmp_path: Path) -> None:
    """Line breaks carry no meaning: mail and version control change them."""
    bundle.write(tmp_path)
    path = tmp_path / record.NAME
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert Bundle.read(tmp_path).seed == 7


def test_weights_that_are_no_numbers_are_not_written(bundle: Bundle, tmp_path: Path) -> None:
    with torch.no_grad():
        bundle.network.dense.weight[0, 0] = torch.nan
    with pytest.raises(InputError, match=r"every weight must be finite; .*first 'dense.weight'"):
        bundle.write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_weights_that_are_no_numbers_are_not_read(bundle: Bundle, tmp_path: Path) -> None:
    """A bundle that is whole by its hashes, with a NaN inside."""
    bundle.write(tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    weights["dense.bias"][0] = torch.nan
    save_file(weights, tmp_path / WEIGHTS)
    fitting = {"weights_sha256": sha256(tmp_path / WEIGHTS)}
    record.write(record.read(tmp_path) | fitting, tmp_path)
    with pytest.raises(InputError, match=r"every weight must be finite; .*first 'dense.bias'"):
        Bundle.read(tmp_path)


def test_other_preprocessing_is_refused(bundle: Bundle) -> None:
    bundle.require_preprocessing(margin_pixels=5, size=128)
    with pytest.raises(InputError, match="margin_pixels is 6, must be 5"):
        bundle.require_preprocessing(margin_pixels=6, size=128)


def test_own_patients_are_not_external(bundle: Bundle) -> None:
    bundle.require_new_centres(pd.DataFrame({"centre": ["hospital_c"]}))
    with pytest.raises(InputError, match="1 of 2 patients are of its own centres"):
        bundle.require_new_centres(pd.DataFrame({"centre": ["hospital_a", "hospital_c"]}))


@pytest.mark.parametrize("content", ["", "[]", "{}", "not json"])
def test_what_is_no_bundle_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / record.NAME).write_text(content)
    with pytest.raises(InputError, match="must be a bundle's record"):
        Bundle.read(tmp_path)


def test_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bundle\.json is not there; .*hcc run"):
        Bundle.read(tmp_path)
