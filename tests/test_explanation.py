"""Maps of attribution are what their papers say, and one that should not be believed fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from hcc_utils.checks import InputError
from hcc_utils.models import explanation, fitting, hardware
from hcc_utils.models.bundle import Bundle
from hcc_utils.models.cases import Cases, Job
from hcc_utils.models.network import Network
from hcc_utils.models.settings import Settings

MADE = {"margin_pixels": 5, "margin_mm": None, "size": 128}
BOX = {"left": 0.25, "right": 0.75, "top": 0.25, "bottom": 0.75}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two wait for each other."""
    with hardware.threads(1):
        yield


@pytest.fixture
def grad_cam_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quicker of the methods, where any would do."""
    monkeypatch.delitem(explanation.METHODS, "integrated_gradients")


def reader(
    first: torch.Tensor, second: torch.Tensor | float = 0.0, *, bias: float = 0, every: int = 1
) -> Network:
    """
    A network that is a sum: log odds = sum over pixels of (first + 2 second) * image, + bias.

    Its two feature maps are the image (of it, `every` so many pixels along each side) and twice
    the image, both never negative; the R_Block adds nothing; normalisation keeps values (running
    variance 1 - eps, so that the divisor is 1).
    """
    size = every * first.shape[-1]
    network = Network(filters=(2, 2), strides=(every, 1), size=size).eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.constant_(layer.running_var, 1 - layer.eps)
    with torch.no_grad():
        network.blocks[0][0].weight[:, 0, 1, 1] = torch.tensor([1.0, 2.0])
        nn.init.zeros_(network.dense.weight)
        rows = torch.stack([first, torch.as_tensor(second).expand_as(first)])
        network.dense.weight[1] = rows.flatten()
        network.dense.bias[:] = torch.tensor([0.0, bias])
    return network


def frozen(network: Network | None = None, **settings: object) -> Bundle:
    """A bundle around a network."""
    chosen = Settings(filters=(4, 4, 4), strides=(4, 4, 2), **settings)
    torch.manual_seed(3)
    return Bundle(
        network=network or chosen.network().eval(), settings=chosen, preprocessing=MADE, seed=7
    )


def noise(n: int = 12) -> tuple[np.ndarray, pd.DataFrame]:
    """Slices of noise around the window's middle, all with the same box."""
    pixels = np.random.default_rng(0).normal(75, 60, (n, 128, 128)).astype(np.int16)
    return pixels, pd.DataFrame(BOX, index=range(n))


def ramp() -> torch.Tensor:
    """One image of 16 x 16: rows 0, 1/16, 2/16, ... from above."""
    return (torch.arange(16) / 16).view(1, 1, 16, 1).expand(1, 1, 16, 16).contiguous()


def test_grad_cam_by_hand() -> None:
    """
    Gradients are averaged over the map before they weigh it.

    `first` is 1 in the left half, so its mean is 1/2; `second` is -1/10 everywhere. The map is
    1/2 * image - 1/10 * 2 image = 0.3 image, in both halves alike.
    """
    left = (torch.arange(16) < 8).float().expand(16, 16)
    image = ramp()
    found = explanation.grad_cam(reader(left, -0.1), image)
    torch.testing.assert_close(found, 0.3 * image[:, 0])


def test_grad_cam_keeps_what_raises_the_score_alone() -> None:
    """With -1/2 the same sum is 1/2 - 1 = -1/2 of the image: nothing is left."""
    left = (torch.arange(16) < 8).float().expand(16, 16)
    assert not explanation.grad_cam(reader(left, -0.5), ramp()).any()


def test_grad_cam_is_of_the_deepest_block_with_enough_cells() -> None:
    """Strides 4, 2, 2 make 128 pixels 32, 16 and 8: the second block's 16 cells of 8 pixels."""
    torch.manual_seed(0)
    network = Network(filters=(4, 5, 6), strides=(4, 2, 2)).eval()
    features, rest = explanation._split(network, torch.rand(2, 1, 128, 128))
    assert features.shape == (2, 5, 16, 16)
    assert len(rest) == 1


def test_integrated_gradients_by_hand() -> None:
    """Of a sum they are weight * (pixel - mean): weights 1 left and 0 right, mean 15/32."""
    left = (torch.arange(16) < 8).float().expand(16, 16)
    found = explanation.integrated_gradients(reader(left), ramp(), steps=3)
    torch.testing.assert_close(found, left * (ramp()[:, 0] - 15 / 32))


def test_integrated_gradients_add_up_to_the_difference_they_explain() -> None:
    """Sundararajan's completeness, on the default network, within the tolerance that is stated."""
    torch.manual_seed(1)
    network, images = Network().eval(), torch.rand(4, 1, 128, 128)
    found = explanation.integrated_gradients(network, images).sum(dim=(1, 2))
    with torch.no_grad():
        whole, none = (explanation.log_odds(network, x) for x in (images, explanation.flat(images)))
    difference = whole - none
    gap = found - difference
    assert gap.abs().mean() < explanation.COMPLETE_WITHIN * difference.abs().mean()


def test_log_odds_are_the_logit_of_the_score() -> None:
    """Log(p / (1 - p)) of the softmax score."""
    torch.manual_seed(0)
    network, images = Network().eval(), torch.rand(3, 1, 128, 128)
    with torch.no_grad():
        by_hand = torch.logit(network.slice_scores(images).double())
        found = explanation.log_odds(network, images).double()
    torch.testing.assert_close(found, by_hand, rtol=1e-4, atol=1e-5)


def test_cascade_reaches_one_layer_further_at_each_step() -> None:
    """A dense layer and three blocks; the last block is not the trained one from step 2 on."""
    network = frozen().network
    trained = {name: value.clone() for name, value in network.state_dict().items()}
    changed = [
        sorted(
            {
                ".".join(name.split(".")[: 1 + name.startswith("blocks")])
                for name, value in random.state_dict().items()
                if not torch.equal(value, trained[name])
            }
        )
        for random in explanation.cascade(network, seed=1)
    ]
    assert changed == [
        ["dense"],
        ["blocks.2", "dense"],
        ["blocks.1", "blocks.2", "dense"],
        ["blocks.0", "blocks.1", "blocks.2", "dense"],
    ]
    assert all(torch.equal(value, trained[name]) for name, value in network.state_dict().items())


def test_similarity_by_hand() -> None:
    """Ranks 1 2 3 4 and 2 1 3 4: 1 - 6 * (1 + 1) / (4 * 15) = 0.8. A flat map ranks nothing."""
    maps = np.array([[[0.1, 0.2], [0.3, 9.0]]] * 2)
    others = np.array([[[5.0, 4.0], [6.0, 7.0]], [[1.0, 1.0], [1.0, 1.0]]])
    assert explanation.similarity(maps, others) == pytest.approx([0.8, 0])


def corner() -> torch.Tensor:
    """One image of 16 x 16: the 64 pixels of its first quarter 1, the others 0."""
    image = torch.zeros(1, 1, 16, 16)
    image[..., :8, :8] = 1
    return image


def test_deletion_by_hand() -> None:
    """
    A network that adds up the bright quarter, 1/64 each, less 1/2; a pixel is a cell.

    Whole: 64/64 - 1/2. At a share of 0.2 the first 52 of 256 cells are at the mean, 1/4:
    (12 + 13) / 64 - 1/2. All: 16/64 - 1/2. Scores are the sigmoid.
    """
    image = corner()
    network = reader(image[0, 0] / 64, bias=-0.5)
    kept, random = explanation.deletion(network, image, image[:, 0], seed=1)
    by_hand = 1 / (1 + np.exp(0.5 - np.array([64, 25, 16]) / 64))
    assert kept[0, [0, 2, 10]] == pytest.approx(by_hand)
    assert (random[0, 1:10] > kept[0, 1:10]).all()


def test_deletion_in_the_wrong_order_is_worse_than_chance() -> None:
    """The darkest first: what counts goes last."""
    image = corner()
    network = reader(image[0, 0] / 64, bias=-0.5)
    kept, random = explanation.deletion(network, image, -image[:, 0], seed=1)
    assert (random[0, 1:10] < kept[0, 1:10]).all()


def test_zones_by_hand() -> None:
    """Four pixels a side, centres at 1/8, 3/8, 5/8, 7/8: the box holds columns 1, 2 and row 0."""
    table = pd.DataFrame({"left": [0.25], "right": [0.75], "top": [0.0], "bottom": [0.3]})
    found = explanation.zones(table, 4)
    assert np.argwhere(found["lesion_box"][0]).tolist() == [[0, 1], [0, 2]]
    assert (found["margin"] == ~found["lesion_box"]).all()


def test_shares_by_hand() -> None:
    """3 of 3 + 1, signs aside; an empty map has the share of the area, 1 of 4."""
    maps = np.array([[[-3.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    zone = np.array([[[True, False], [False, False]]] * 2)
    assert explanation.shares(maps, zone) == pytest.approx([0.75, 0.25])


def verdicts(found: pd.DataFrame, method: str) -> dict[str, object]:
    """Whether a method passes each check."""
    return found[found["method"] == method].set_index("check")["passes"].to_dict()


def test_a_network_that_reads_the_lesion_is_shown_to_read_it() -> None:
    """Weights of 1 in the box and 0 outside: all that is attributed lies in the box."""
    pixels, table = noise()
    weights = torch.zeros(32, 32)
    weights[8:24, 8:24] = 0.01
    network = reader(weights, every=4)
    found, _ = explanation.checked(frozen(network), pixels, table, others=[network])
    passes = verdicts(found, "integrated_gradients")
    assert pd.isna(passes.pop("share_in_margin"))
    assert passes.pop("completeness")
    assert passes.pop("deletion")
    assert passes.pop("share_in_lesion_box")
    assert passes.pop("agreement"), "with itself"
    by_check = found[found["method"] == "integrated_gradients"].set_index("check")["estimate"]
    assert by_check["share_in_lesion_box"] == pytest.approx(1)
    assert by_check["agreement"] == pytest.approx(1)


def test_a_map_that_ignores_the_network_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image itself as its map: the same with random weights, and no better than chance."""
    monkeypatch.setattr(explanation, "METHODS", {"image": lambda network, images: images[:, 0]})
    found, curves = explanation.checked(frozen(), *noise())
    assert verdicts(found, "image")["randomisation"] is False
    similar = curves[curves["check"] == "randomisation"]
    assert similar["estimate"].tolist() == pytest.approx([1, 1, 1, 1])
    assert similar["step"].tolist() == [1, 2, 3, 4]


def test_a_map_drawn_by_chance_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """It changes at every look; the score must not fall faster than at random, nor in the box."""
    draw = torch.Generator().manual_seed(0)
    monkeypatch.setattr(
        explanation,
        "METHODS",
        {"chance": lambda network, images: torch.rand(images[:, 0].shape, generator=draw)},
    )
    network = reader(torch.full((32, 32), 0.01), every=4)
    found, _ = explanation.checked(frozen(network), *noise(), others=[network])
    passes = verdicts(found, "chance")
    assert passes["randomisation"]
    assert not passes["deletion"]
    assert not passes["agreement"]


@pytest.mark.usefixtures("grad_cam_alone")
def test_too_few_patients_prove_nothing() -> None:
    """Nine, where ten are asked for: what is judged fails, and says why."""
    found, _ = explanation.checked(frozen(), *noise(9))
    judged = found[found["passes"].notna()]
    assert not judged["passes"].any()
    assert judged["note"].str.startswith("Fewer than 10 patients.").all()


@pytest.mark.usefixtures("grad_cam_alone")
def test_one_network_alone_has_no_agreement() -> None:
    found, _ = explanation.checked(frozen(), *noise())
    row = found[found["check"] == "agreement"].iloc[0]
    assert pd.isna(row["estimate"])
    assert pd.isna(row["passes"])
    assert row["note"] == "One network only: not known."


@pytest.mark.usefixtures("grad_cam_alone")
def test_the_same_again_is_the_same() -> None:
    """To the last digit, and whatever was drawn in between."""
    first = explanation.checked(frozen(), *noise())
    torch.rand(5)
    again = explanation.checked(frozen(), *noise())
    assert first[0]["estimate"].dropna().ne(0).all(), "the network is alive"
    for one, other in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_explaining_changes_nothing() -> None:
    """The network that comes back out is still in training, as it went in, and its weights too."""
    bundle = frozen()
    bundle.network.train()
    before = {name: value.clone() for name, value in bundle.network.state_dict().items()}
    maps = explanation.attributed(bundle, noise()[0])
    assert {name: found.shape for name, found in maps.items()} == {
        "grad_cam": (12, 128, 128),
        "integrated_gradients": (12, 128, 128),
    }
    assert bundle.network.training
    after = bundle.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_targets_are_spread_over_the_scores() -> None:
    """Five patients with three slices each, scores falling: of three, the last, third and first."""
    names = [f"P{n}" for n in range(5)]
    slices = pd.DataFrame(
        {
            "patient_id": np.repeat(names, 3),
            "slice_z_mm": 1.0,
            "pixel_spacing_mm": 1.0,
            "row_min": 10,
            "row_max": 19,
            "column_min": 10,
            "column_max": 29,
        }
    )
    scores = pd.DataFrame({"patient_id": names, "score": [0.9, 0.8, 0.5, 0.2, 0.1]})
    found = explanation.targets(frozen(), slices, scores, n_patients=3)
    assert found.index.tolist() == [13, 7, 1], "the middle slices of P4, P2 and P0"
    # 5 + 20 + 5 columns and 5 + 10 + 5 rows
    assert found.iloc[0][["left", "right"]].tolist() == pytest.approx([5 / 30, 25 / 30])
    assert found.iloc[0][["top", "bottom"]].tolist() == pytest.approx([5 / 20, 15 / 20])


def test_pixels_and_boxes_must_belong_together() -> None:
    pixels, table = noise()
    with pytest.raises(InputError, match="pixels_hu has 12, table has 11"):
        explanation.checked(frozen(), pixels, table.head(11))


def test_the_window_is_the_bundles() -> None:
    """Below -100 HU all is black: nothing is attributed to a slice of -101 and -900 HU."""
    pixels = np.where(np.indices((128, 128)).sum(axis=0) % 2, -101, -900).astype(np.int16)[None]
    bundle = frozen(reader(torch.rand(32, 32), every=4))
    assert not explanation.attributed(bundle, pixels)["integrated_gradients"].any()
    wide = replace(bundle, settings=replace(bundle.settings, window_width_hu=2000.0))
    assert explanation.attributed(wide, pixels)["integrated_gradients"].any()


@pytest.mark.slow
def test_a_trained_network_is_found_to_read_what_was_planted(tmp_path: Path) -> None:
    """
    Slices of patients with the event are rougher (SD 60 against 20 HU) in the box alone.

    A network that tells them apart has nothing else to read, so the maps must fall there more
    than by area (a quarter), the score fall with them, and the sum be complete.
    """
    event = np.arange(60) % 2 == 0
    draw = np.random.default_rng(1)
    pixels = draw.normal(75, 20, (60, 128, 128))
    pixels[event, 32:96, 32:96] = draw.normal(75, 60, (30, 64, 64))
    pixels = pixels.astype(np.int16)
    patients = pd.DataFrame({"patient_id": np.arange(60).astype(str), "centre": "hospital_a"})
    cases = Cases.of(pixels, patients, patients.assign(event=event), "event")
    settings = Settings(epochs=5, slices_per_epoch=256)
    job = Job(name="final", learns=np.arange(60), scores=np.arange(0))
    network, _ = fitting.fit(cases, job, settings, tmp_path, print)
    bundle = Bundle(network=network, settings=settings, preprocessing=MADE, seed=3)
    found, _ = explanation.checked(bundle, pixels[:12], pd.DataFrame(BOX, index=range(12)))
    for method in explanation.METHODS:
        passes = verdicts(found, method)
        assert passes["share_in_lesion_box"]
        assert passes["deletion"]
    assert passes["completeness"]
