"""Where networks stand on disk: finished, or on their way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from hcc_utils import checks
from hcc_utils.models import hardware
from hcc_utils.models.settings import Settings
from hcc_utils.study import results

Tensors = dict[str, torch.Tensor]
Curve = list[dict[str, float]]


class Shelf:
    """Where one network stands: finished (two files), or on its way (one file)."""

    def __init__(self, stem: Path, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.weights = stem.with_name(f"{stem.name}.safetensors")
        self.record = stem.with_name(f"{stem.name}.json")
        self.on_its_way = stem.with_name(f"{stem.name}.partial.safetensors")

    def finished(self) -> tuple[Tensors, Curve] | None:
        """Weights and curve, where the same training was finished and its weights are whole."""
        if not (self.record.is_file() and self.weights.is_file()):
            return None
        record = json.loads(self.record.read_text("utf-8"))
        if record["fingerprint"] != self.fingerprint:
            return None
        if record["weights_sha256"] != results.sha256(self.weights):
            return None
        return safetensors.torch.load_file(self.weights), record["curve"]

    def keep(self, best: Tensors, curve: Curve, settings: Settings) -> None:
        """Store a finished network; its record comes last, so that it vouches for whole weights."""
        with _stored(self.weights) as temporary:
            safetensors.torch.save_file(best, temporary)
        record: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "weights_sha256": results.sha256(self.weights),
            "settings": asdict(settings),
            "device": hardware.device().type,
            "bfloat16": hardware.in_bfloat16(),
            "torch": torch.__version__,
            "curve": curve,
        }
        results.write_json(record, self.record)
        self.on_its_way.unlink(missing_ok=True)

    def partial(self) -> tuple[Tensors, Curve]:
        """The state after the last whole epoch of the same training, or nothing."""
        if not self.on_its_way.is_file():
            return {}, []
        with safetensors.safe_open(self.on_its_way, "pt") as file:
            record = file.metadata()
            if record["fingerprint"] != self.fingerprint:
                return {}, []
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, json.loads(record["curve"])

    def keep_partial(self, tensors: Tensors, curve: Curve) -> None:
        """Store a state, in the place of the one before."""
        record = {"fingerprint": self.fingerprint, "curve": json.dumps(curve)}
        with _stored(self.on_its_way) as temporary:
            safetensors.torch.save_file(tensors, temporary, record)


@contextmanager
def _stored(path: Path) -> Iterator[Path]:
    """As `results.replacing`; a full disk is told in words, and what stood there stays."""
    try:
        with results.replacing(path) as temporary:
            yield temporary
    except (OSError, safetensors.SafetensorError) as error:
        raise checks.InputError(
            f"{path} could not be stored: {error}. The last state that was stored is whole; make "
            "room on the disk and run again, and the training goes on from there."
        ) from error
