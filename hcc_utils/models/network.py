"""The network of Model D: one convolutional block, six residual blocks, one dense layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import torch
from torch import nn

from hcc_utils import checks

# One number for the C_Block, then one for each R_Block. The paper gives the kinds and the order
# of the layers, six R_Blocks and 16 filters (Figure 3); all that follows is our choice.
FILTERS: tuple[int, ...] = (16, 16, 32, 32, 64, 64, 128)
STRIDES: tuple[int, ...] = (2, 2, 2, 2, 2, 2, 1)
DROPOUT = 0.5
SIZE = 128
MOMENTUM = (
    0.3  # of batch normalisation: torch's 0.1 lags behind in trainings of a few hundred steps
)


class ConvolutionBlock(nn.Sequential):
    """
    The paper's C_Block: convolution, batch normalisation, ReLU.

    Parameters
    ----------
    channels_in : int
        Channels of what comes in.
    channels_out : int
        Filters.
    stride : int
        Step of the convolution, in pixels.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__(*_convolution(channels_in, channels_out, 3, stride), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """
    The paper's R_Block: two convolutions beside a shortcut, added, ReLU.

    Parameters
    ----------
    channels_in : int
        Channels of what comes in.
    channels_out : int
        Filters of both convolutions.
    stride : int
        Step of the first convolution and of the shortcut, in pixels.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            ConvolutionBlock(channels_in, channels_out, stride),
            *_convolution(channels_out, channels_out, 3, 1),
        )
        same = channels_in == channels_out and stride == 1
        self.shortcut = nn.Sequential(
            *([] if same else _convolution(channels_in, channels_out, 1, stride))
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """
        Feature maps of the block.

        Parameters
        ----------
        images : torch.Tensor, shape (n, channels_in, height, width)
            Feature maps of the block before.

        Returns
        -------
        torch.Tensor, shape (n, channels_out, height / stride, width / stride)
            Never negative.
        """
        return torch.relu_(self.main(images).add_(self.shortcut(images)))


class Network(nn.Module):
    """
    C_Block, R_Blocks, flatten, dropout, dense layer with softmax over two classes.

    Parameters
    ----------
    filters : sequence of int
        Filters of the C_Block (16 in the paper), then of each R_Block (ours).
    strides : sequence of int
        Steps of the C_Block, then of each R_Block (ours).
    dropout : float, default 0.5
        Share of features left out in training (ours).
    size : int, default 128
        Height and width of a slice, in pixels (the paper's).

    Raises
    ------
    InputError
        If filters and strides differ in number, or a number means no network.
    """

    def __init__(
        self,
        *,
        filters: Sequence[int] = FILTERS,
        strides: Sequence[int] = STRIDES,
        dropout: float = DROPOUT,
        size: int = SIZE,
    ) -> None:
        super().__init__()
        _refuse(filters, strides, dropout)
        channels = [1, *filters]
        kinds = [ConvolutionBlock, *[ResidualBlock] * (len(filters) - 1)]
        self.blocks = nn.Sequential(
            *(
                kind(channels_in, channels_out, stride)
                for kind, channels_in, channels_out, stride in zip(
                    kinds, channels, filters, strides, strict=False
                )
            )
        )
        side = size
        for stride in strides:
            side = math.ceil(side / stride)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(filters[-1] * side * side, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """
        Logits of both classes: what softmax and the loss take.

        Parameters
        ----------
        images : torch.Tensor, shape (n, 1, size, size)
            Slices, windowed to [0, 1].

        Returns
        -------
        torch.Tensor, shape (n, 2)
            Non-event, event.
        """
        features = self.blocks(images).flatten(1)
        logits: torch.Tensor = self.dense(self.dropout(features))
        return logits

    def slice_scores(self, images: torch.Tensor) -> torch.Tensor:
        """
        Softmax probability of the event for each slice; higher is worse.

        Parameters
        ----------
        images : torch.Tensor, shape (n, 1, size, size)
            Slices, windowed to [0, 1].

        Returns
        -------
        torch.Tensor, shape (n,)
            In [0, 1]. Training is balanced, so this is a score and not yet a risk.
        """
        return torch.softmax(self(images).float(), dim=1)[:, 1]


def layers(network: Network, size: int = SIZE) -> pd.DataFrame:
    """
    What each layer of a network gives and holds, computed from the network itself.

    Parameters
    ----------
    network : Network
        Trained or not.
    size : int, default 128
        Height and width of a slice, in pixels.

    Returns
    -------
    pandas.DataFrame
        One row a layer in order: ``layer``, ``stride`` (1 where it has none), ``height``,
        ``width``, ``channels`` of what it gives, ``parameters``.
    """
    blocks = list(network.blocks)
    names = ["C_Block", *(f"R_Block {number}" for number in range(1, len(blocks)))]
    rows: list[tuple[str, int, int, int, int, int]] = []
    device = network.dense.weight.device
    maps = torch.zeros(1, 1, size, size, device=device)
    with torch.inference_mode():
        for name, block in zip(names, blocks, strict=True):
            was_training = block.training
            before, maps = maps.shape[-1], block.eval()(maps)
            block.train(was_training)
            _, channels, height, width = maps.shape
            rows.append((name, before // width, height, width, channels, _weights(block)))
    features = maps.numel()
    rows.append(("Flatten", 1, 1, 1, features, 0))
    rows.append((f"Dropout {network.dropout.p:g}", 1, 1, 1, features, 0))
    rows.append(("Dense, softmax", 1, 1, 1, network.dense.out_features, _weights(network.dense)))
    return pd.DataFrame(
        rows, columns=["layer", "stride", "height", "width", "channels", "parameters"]
    )


def _weights(module: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(weight.numel() for weight in module.parameters())


def _convolution(channels_in: int, channels_out: int, kernel: int, stride: int) -> list[nn.Module]:
    """A convolution that keeps the size (at stride 1), and its batch normalisation."""
    convolution = nn.Conv2d(
        channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, bias=False
    )
    return [convolution, nn.BatchNorm2d(channels_out, momentum=MOMENTUM)]


def _refuse(filters: Sequence[int], strides: Sequence[int], dropout: float) -> None:
    """Raise where the numbers mean no network."""
    if len(filters) != len(strides) or len(filters) < 2:
        raise checks.InputError(
            f"filters and strides need one number for the C_Block and one for each R_Block; "
            f"filters has {len(filters)}, strides has {len(strides)}."
        )
    if min(*filters, *strides) < 1:
        raise checks.InputError(
            f"filters and strides must be at least 1; got {list(filters)} and {list(strides)}."
        )
    if not 0 <= dropout < 1:
        raise checks.InputError(f"dropout must be in [0, 1); got {dropout}.")
