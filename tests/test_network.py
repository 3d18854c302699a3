"""The network is what the paper's Figure 3 says, and what its own numbers say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hcc_utils.checks import InputError
from hcc_utils.models.network import Network, ResidualBlock, layers


def test_has_the_papers_blocks() -> None:
    """Figure 3: one C_Block with 16 filters, six R_Blocks, (flatten,) dropout, dense."""
    network = Network()
    kinds = [type(block).__name__ for block in network.blocks]
    assert kinds == ["ConvolutionBlock"] + 6 * ["ResidualBlock"]
    assert network.blocks[0][0].out_channels == 16
    assert [type(layer).__name__ for layer in list(network.children())[1:]] == ["Dropout", "Linear"]


def test_number_of_parameters_by_hand() -> None:
    """
    Filters 2 and 3, strides 2 and 2, on 8 x 8 pixels.

    C_Block: 9*1*2 + 2*2 = 22. R_Block: 9*2*3 + 9*3*3 + 2*3 (shortcut) + three normalisations of
    2*3 = 54 + 81 + 6 + 18 = 159. Dense: 2 x 2 pixels x 3 filters x 2 classes + 2 = 26. Sum 207.
    """
    network = Network(filters=(2, 3), strides=(2, 2), size=8)
    assert sum(weight.numel() for weight in network.parameters()) == 207


def test_layers_by_hand() -> None:
    """The network above: 22 and 159 parameters, 4 x 4 x 2 and 2 x 2 x 3 values, 12 features."""
    network = Network(filters=(2, 3), strides=(2, 2), size=8)
    found = layers(network, size=8)
    assert found.to_numpy().tolist() == [
        ["C_Block", 2, 4, 4, 2, 22],
        ["R_Block 1", 2, 2, 2, 3, 159],
        ["Flatten", 1, 1, 1, 12, 0],
        ["Dropout 0.5", 1, 1, 1, 12, 0],
        ["Dense, softmax", 1, 1, 1, 2, 26],
    ]
    assert network.training


def test_scores_are_the_softmax_of_the_logits() -> None:
    """Softmax of two logits a, b is 1 / (1 + exp(a - b)) for the second."""
    torch.manual_seed(0)
    network = Network().eval()
    images = torch.rand(3, 1, 128, 128)
    with torch.no_grad():
        logits = network(images).double()
        by_hand = 1 / (1 + torch.exp(logits[:, 0] - logits[:, 1]))
        torch.testing.assert_close(network.slice_scores(images).double(), by_hand)


def test_residual_block_adds_its_input() -> None:
    """With all convolutions zero nothing is added to a non-negative input of the same shape."""
    block = ResidualBlock(4, 4, 1).eval()
    for layer in block.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
    images = torch.rand(2, 4, 5, 5)
    torch.testing.assert_close(block(images), images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"strides": (2, 2)}, "filters has 7, strides has 2", id="numbers differ"),
        pytest.param({"filters": (16, 0, 32, 32, 64, 64, 128)}, "at least 1", id="no filter"),
        pytest.param({"dropout": 1.0}, r"dropout must be in \[0, 1\); got 1.0", id="all dropped"),
    ],
)
def test_no_network_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network(**change)
