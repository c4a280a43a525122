"""Fonts for names of classes in any script, from those that this machine has."""

from collections.abc import Sequence
from functools import cache

from matplotlib import get_data_path
from matplotlib.font_manager import fontManager, get_font

USUAL = "DejaVu Sans"  # matplotlib brings it: Latin, Greek, Cyrillic, Arabic, Hebrew and more


def drawable(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names, and the fonts that draw them, in the order in which they are tried.

    A name with a letter that no font of this machine has becomes "class 7", by its index.
    """
    missing = set("".join(names)) - _letters(_usual_path()) - {"\n"}
    fonts = [USUAL]
    for font in fontManager.ttflist if missing else ():
        if font.name.startswith("Last Resort"):  # it draws every letter as a box
            continue
        if found := missing & _letters(font.fname):
            fonts.append(font.name)
            missing -= found
    shown = [f"class {index}" if missing & set(name) else name for index, name in enumerate(names)]
    return shown, fonts


def _usual_path() -> str:
    return f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf"


@cache
def _letters(path: str) -> frozenset[str]:
    """The letters that a font has; none if its file cannot be read."""
    try:
        return frozenset(map(chr, get_font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()
