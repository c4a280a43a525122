"""Digits in the manners of several countries, drawn by a simulated pen.

    hand, a skeleton of strokes --bend--> curves --pen--> ink --as the service--> (28, 28) uint8

MNIST's digits were written in one country, scikit-learn's in another. A 1 with an upstroke, an
angular 6 or a 7 with a bar are rare there, and a network that has not learned them takes the first
for a 7. `drawn_digits` makes such digits, which a recipe adds to the training images (`--hands`).
`strokes` bends and inks the skeletons, and prepares the result as the service does.
"""

from collections.abc import Collection
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from contract.card import SIDE
from training.strokes import drawn


class UnknownHand(ValueError):
    """There is no hand of that name."""


# A hand's name begins with its digit. A stroke is the points "x,y" of a smooth curve, in hundredths
# of a box, y down; "/" separates strokes, which meet at corners. A hand has one or more skeletons.
HANDS: dict[str, tuple[str, ...]] = {
    "0 oval": (
        "50,0 15,20 5,55 25,95 60,98 90,65 85,20 50,0",
        "70,5 30,10 5,50 25,95 65,95 95,50 80,10 45,2",
    ),
    "0 open": ("55,6 20,15 8,50 25,92 60,96 92,60 82,18 42,2",),
    "0 slashed": ("50,2 20,15 8,50 20,88 50,98 80,85 92,50 80,15 50,2 / 12,95 88,5",),
    "1 plain": ("50,0 50,50 50,100", "60,0 50,50 40,100"),
    "1 upstroke": (
        "25,25 55,0 / 55,0 55,100",
        "35,14 55,0 / 55,0 55,100",
        "10,50 60,0 / 60,0 60,100",
        "18,40 40,28 60,0 / 60,0 58,100",
    ),
    "1 hooked": ("8,48 25,20 55,8 / 55,8 55,100", "15,35 30,12 60,4 68,30 62,100"),
    "1 steep": ("10,75 45,0 / 45,0 60,100", "15,50 38,0 / 38,0 90,100", "0,98 45,0 / 45,0 75,100"),
    "1 based": (
        "25,22 52,0 / 52,0 52,100 / 20,100 85,100",
        "12,42 52,0 / 52,0 52,100 / 15,100 90,98",
        "30,15 50,0 / 50,0 50,98 / 5,100 98,96",
    ),
    "1 barred base": ("50,0 50,100 / 22,100 78,100", "32,2 50,0 / 50,0 50,100 / 25,100 75,100"),
    "2 plain": (
        "10,25 35,2 75,8 80,35 50,70 8,98 / 8,98 50,94 95,98",
        "15,15 55,0 80,22 55,65 15,98 10,80 35,78 65,95 95,85",
        "5,12 50,0 85,15 70,50 10,100 / 10,100 90,90",
    ),
    "2 looped": (
        "10,20 45,0 82,20 60,60 25,95 5,85 25,72 55,88 98,95",
        "8,25 40,0 80,20 65,55 30,90 8,92 5,75 30,68 60,85 98,92",
    ),
    "2 angular": ("10,8 82,4 / 82,4 12,96 / 12,96 92,96", "12,22 45,0 85,22 / 85,22 8,98 92,98"),
    "2 crossed": ("10,22 45,0 82,20 60,60 8,98 / 8,98 95,96 / 28,58 82,52",),
    "3 round": (
        "10,12 50,0 85,20 60,44 35,48 / 35,48 80,58 85,85 50,100 8,90",
        "20,5 70,5 80,25 45,45 75,55 80,85 45,100 5,95",
    ),
    "3 flat-topped": (
        "10,5 85,5 / 85,5 45,40 / 45,40 85,60 80,90 40,100 8,88",
        "12,3 82,3 / 82,3 38,42 / 38,42 80,50 88,78 55,100 10,90",
    ),
    "3 angular": ("12,6 82,10 / 82,10 30,48 / 30,48 85,68 / 85,68 12,98",),
    "4 open": (
        "25,5 15,30 10,55 / 10,55 50,55 92,50 / 78,5 72,50 66,100",
        "20,5 15,40 40,55 80,42 / 82,2 78,50 72,100",
        "12,2 10,55 / 10,55 85,55 / 82,0 82,100",
    ),
    "4 lightning": ("40,0 8,62 / 8,62 92,62 / 60,32 58,100", "55,0 5,58 92,60 / 68,28 55,100"),
    "4 closed": (
        "70,0 35,40 5,65 / 5,65 95,65 / 70,0 68,50 66,100",
        "66,0 5,70 / 5,70 98,70 / 66,0 66,100",
    ),
    "5 plain": (
        "88,3 28,5 / 28,5 20,45 / 20,45 60,38 90,65 65,98 10,92",
        "98,0 45,5 / 45,5 28,40 / 28,40 70,45 75,80 40,100 5,90",
        "30,4 22,45 / 22,45 62,40 85,68 55,98 8,90 / 30,6 90,2",
    ),
    "5 curved": ("95,5 50,2 25,15 35,40 75,55 70,90 35,100 5,85",),
    "5 angular": ("88,3 20,3 / 20,3 18,46 / 18,46 82,48 / 82,48 84,92 / 84,92 10,97",),
    "6 plain": (
        "75,2 35,25 10,65 30,98 75,90 80,60 45,55 15,75",
        "55,0 25,40 12,75 40,100 75,80 60,55 20,72",
        "40,0 15,40 15,85 55,100 90,80 60,62 20,85",
    ),
    "6 hooked": (
        "85,15 62,0 25,18 10,60 30,97 70,96 85,70 55,52 15,68",
        "88,10 45,2 12,35 12,80 48,100 85,80 70,55 12,62",
        "82,20 70,2 35,8 12,50 22,94 62,98 86,72 60,54 25,60 2,74",
    ),
    "6 crossed": (
        "80,8 40,4 12,40 15,82 50,100 88,78 66,52 0,60",
        "62,0 22,38 12,80 45,100 82,80 62,50 2,58",
    ),
    "6 angular": (
        "80,5 18,5 / 18,5 16,95 / 16,95 84,95 / 84,95 84,52 / 84,52 16,52",
        "60,0 12,58 / 12,58 15,96 / 15,96 82,96 / 82,96 80,58 / 80,58 14,62",
        "85,12 50,2 / 50,2 14,40 / 14,40 14,92 / 14,92 80,98 / 80,98 84,58 / 84,58 14,60",
    ),
    "7 plain": (
        "5,5 95,5 / 95,5 65,50 45,100",
        "5,20 10,5 90,6 / 90,6 75,45 60,100",
        "5,20 30,4 85,10 65,50 45,100",
        "5,10 90,3 / 90,3 50,55 30,100",
    ),
    "7 flagged": (
        "10,28 10,5 / 10,5 92,5 / 92,5 60,50 45,100",
        "8,30 14,4 / 14,4 90,4 78,50 76,100",
    ),
    "7 barred": (
        "5,5 95,5 / 95,5 60,50 40,100 / 30,50 85,48",
        "10,28 12,5 / 12,5 92,4 / 92,4 60,50 42,100 / 25,54 88,48",
        "5,15 40,5 88,8 55,60 38,100 / 22,52 82,46",
    ),
    "8 plain": ("85,12 50,0 15,20 45,45 85,70 60,100 15,85 40,52 80,25 85,10",),
    "8 two loops": (
        "50,0 20,20 50,45 80,20 50,0 / 50,45 10,75 50,100 90,75 50,45",
        "50,2 22,8 22,38 50,46 78,38 78,8 50,2 / 50,46 12,56 14,92 50,98 86,92 88,56 50,46",
    ),
    "8 open": ("82,14 50,0 20,20 50,45 85,75 50,100 15,78 45,50 72,32 92,8",),
    "9 plain": (
        "80,15 45,0 10,25 35,50 75,35 82,12 / 82,12 80,55 70,100",
        "75,10 35,2 10,30 40,45 75,15 65,60 45,100",
        "78,8 30,5 10,30 35,50 80,30 / 80,4 80,100",
    ),
    "9 like g": (
        "80,15 45,0 12,25 40,48 80,25 / 82,10 80,60 55,98 15,92",
        "78,10 40,0 10,25 35,50 78,30 / 80,4 82,82 55,100 10,86",
        "82,12 40,2 12,28 40,52 80,32 / 82,8 78,70 62,98 30,98 18,82",
        "75,6 35,2 15,22 32,44 75,28 80,4 / 80,4 88,60 70,96 40,100 8,80",
        "82,38 50,50 18,25 50,0 82,25 85,65 60,98 30,98 8,84",
    ),
    "9 angular": ("82,5 14,5 / 14,5 14,48 / 14,48 82,48 / 82,3 84,98 / 84,98 20,96",),
}  # fmt: skip


def hands_in(text: str) -> tuple[str, ...]:
    """The names in "7 barred, 1 steep"; UnknownHand, with the nearest names, if one is unknown."""
    names = tuple(name for word in text.split(",") if (name := " ".join(word.split())))
    for name in names:
        if name not in HANDS:
            near = get_close_matches(name, HANDS, 3) or HANDS
            raise UnknownHand(f"there is no hand {name!r}, but {', '.join(near)}")
    for digit in "0123456789":
        if {name for name in HANDS if name[0] == digit} <= {*names}:
            raise UnknownHand(f"all hands of the {digit} are left out: keep one of them")
    return names


def drawn_digits(
    count: int, seed: int, without: Collection[str] = ()
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`count` images (count, 28, 28) with labels (count,), equally many of each digit.

    The hands of a digit are equally frequent, without those named in `without`. The same arguments
    give the same images.
    """
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 10).astype(np.uint8)
    hands: list[list[tuple[str, ...]]] = [[] for _ in range(10)]
    for name, skeletons in HANDS.items():
        if name not in without:
            hands[int(name[0])].append(skeletons)
    pixels = np.zeros((count, SIDE, SIDE), np.uint8)
    for at, label in enumerate(labels.tolist()):
        skeletons = hands[label][random.integers(len(hands[label]))]
        pixels[at] = drawn(skeletons[random.integers(len(skeletons))], random)
    return pixels, labels
