"""Where the notebooks, the workflow and the book lie: in the wheel, or in the checkout."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from hcc_utils import checks

_NAMES = ("notebooks", "workflow", "book")


def folder(name: str) -> Path:
    """
    The folder of the notebooks, the workflow or the book.

    Parameters
    ----------
    name : str
        ``notebooks``, ``workflow`` or ``book``.

    Returns
    -------
    pathlib.Path
        An existing folder: the installed package's own, else the checkout's.

    Raises
    ------
    InputError
        If the installation holds neither.
    """
    checks.one_of("asset", name, _NAMES)
    package = Path(str(resources.files("hcc_utils")))
    for place in (package / "assets" / name, package.parent / name):
        if place.is_dir():
            return place
    raise checks.InputError(
        f"the installed package holds no folder {name!r}; install the wheel again, "
        f"or run from a checkout."
    )
