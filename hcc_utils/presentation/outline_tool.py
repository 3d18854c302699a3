"""The outline tool: a reader clicks a lesion in the CT, corrects its outline and keeps it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from hcc_utils import checks
from hcc_utils.imaging.contouring import Contour, Pixel, contour
from hcc_utils.imaging.desk import Desk
from hcc_utils.imaging.series import Series

SCRIPT = Path(__file__).with_name("outline_tool.js")

_RENDER = """
export default { render({ model, el }) {
  const waiting = new Map();
  let last = 0;
  const heard = (message, buffers) => {
    const answered = waiting.get(message.id);
    waiting.delete(message.id);
    if (answered) answered({ reply: message, buffers });
  };
  model.on("msg:custom", heard);
  const ask = (question) => new Promise((answered) => {
    last += 1;
    const id = `${model.cid || ""}${Math.random()}-${last}`;  // several views share one model
    waiting.set(id, answered);
    model.send({ ...question, id });
  });
  mount(el, ask, model.get("settings"));
  return () => model.off("msg:custom", heard);
} };
"""

Answer = tuple[dict[str, Any], list[bytes]]


class OutlineTool(anywidget.AnyWidget):  # type: ignore[misc] # anywidget carries no types
    """
    The widget: it sends one slice at a time, as it is asked for.

    Parameters
    ----------
    desk : Desk
        The patients, and where their segmentations go.
    centre_hu, width_hu : float, default 60 and 350
        The window at the beginning.
    diameter_mm : float, default 40
        The rough diameter at the beginning.
    """

    _esm = SCRIPT.read_text("utf-8") + _RENDER
    settings = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        desk: Desk,
        *,
        centre_hu: float = 60,
        width_hu: float = 350,
        diameter_mm: float = 40,
    ) -> None:
        window = [centre_hu, width_hu]
        super().__init__(
            settings={"patients": desk.patients, "window": window, "diameter": diameter_mm}
        )
        self._desk = desk
        self._series: Series | None = None
        self._drawn: Contour | None = None
        self._kept: list[Contour] = []
        self._asks: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "open": self._open,
            "slice": self._slice,
            "contour": self._contour,
            "keep": self._keep,
            "save": self._save,
        }
        self.on_msg(lambda _, asked, __: self._answer(asked))

    def _answer(self, asked: dict[str, Any]) -> None:
        """Send what was asked for, or what is wrong with it."""
        try:
            reply, buffers = self._asks[asked["kind"]](asked)
        except checks.InputError as error:
            reply, buffers = {"problem": str(error)}, []
        self.send(reply | {"id": asked["id"]}, buffers)

    def _open(self, asked: dict[str, Any]) -> Answer:
        self._series, self._drawn, self._kept = None, None, []
        self._series = opened = self._desk.open(asked["patient"])
        first = opened.slices[0]
        heights = [header.position_mm[2] for header in opened.slices if header.position_mm]
        spacing = first.pixel_spacing_mm
        return {
            "rows": first.rows,
            "columns": first.columns,
            "spacing": spacing,
            "heights": heights,
        }, []

    def _slice(self, asked: dict[str, Any]) -> Answer:
        opened = self._opened()
        hu = opened.hu(opened.slices[asked["number"]].sop_instance_uid)
        return {}, [np.rint(hu).clip(-32768, 32767).astype("<i2").tobytes()]

    def _contour(self, asked: dict[str, Any]) -> Answer:
        opened = self._opened()
        self._drawn = None
        seed, *edge = (
            Pixel(opened.slices[at["number"]].sop_instance_uid, int(at["row"]), int(at["column"]))
            for at in (asked, *asked["edge"])
        )
        self._drawn = drawn = contour(opened, seed, float(asked["diameter"]), edge)
        parts, buffers = [], []
        for sop_instance_uid, mask in drawn.masks.items():
            rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
            part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            parts.append(
                {
                    "number": opened.place(sop_instance_uid),
                    "row": int(rows[0]),
                    "column": int(columns[0]),
                    "rows": part.shape[0],
                    "columns": part.shape[1],
                }
            )
            buffers.append(part.astype(np.uint8).tobytes())
        words = f"{len(parts)} slices, {drawn.contrast_hu:+.0f} HU against its surroundings."
        return {"parts": parts, "words": f"{words} {drawn.note}".strip()}, buffers

    def _keep(self, _: dict[str, Any]) -> Answer:
        if self._drawn is None:
            raise checks.InputError("nothing is outlined; click a lesion first.")
        self._kept.append(self._drawn)
        self._drawn = None
        return {}, []

    def _save(self, _: dict[str, Any]) -> Answer:
        path = self._desk.save(self._opened(), self._kept)
        return {"words": f"{len(self._kept)} lesion(s) saved: {path}"}, []

    def _opened(self) -> Series:
        if self._series is None:
            raise checks.InputError("no series is open; choose a patient first.")
        return self._series
