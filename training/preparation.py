"""Chooses how the images of a data set are prepared: their size, their colours and the kind.

    a hundred images --> size, gray or RGB --> candidates --a short training with each--> the best

The network should be trained on what the service makes of an image, so the choice is made before
the training, on training images only, and the model card carries it.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from contract.card import (
    SIDE,
    LetterboxPreparation,
    PhotoPreparation,
    Preparation,
    Size,
    StretchPreparation,
)
from preprocessing.digits.normalize import Blank
from preprocessing.preparation import Pixels, Preparer, preparer_of
from training.idx import BadData
from training.image import DIGITS, BadImage, has_colours, read_raster, read_size
from training.listing import Listing
from training.reading import SIDES, UNUSABLE, Reading, in_threads, raster_of, shown

SIZES = (28, 32, 48, 64, 96)  # pixels; the nearest one is chosen for files of images
LARGEST = 256  # pixels, of a side of the images in arrays
LOOKED_AT = 100  # training images, spread over all of them
ENLARGED = 8 / 7  # a photo's `resize` to its size, the usual 256 to 224

TRIED_ON, TRIED_BYTES = 2000, 2**26  # training images at most, and their pixels
FEWEST = 5  # images of a class on the average; with fewer, a comparison is chance
HELD_OUT = 5  # every fifth of these images measures the accuracy
BATCH = 32  # images
RATE = 0.01  # peak learning rate of Adam

log = logging.getLogger("training")


def choose(listing: Listing, reading: Reading) -> Preparer:
    """The preparation that the reading names, or the one that suits the training images best.

    BadData if the options contradict each other or do not suit the images.
    """
    if not isinstance(reading.preparation, str):
        return _preparer(reading.preparation, gray=bool(reading.gray))
    if reading.preparation == "digit":
        _check_digit(reading)
        return DIGITS
    look = _look(listing)
    gray = not look.coloured if reading.gray is None else reading.gray
    size = _size(listing, look, reading)
    kinds: dict[str, Preparation] = {  # the simplest first
        "stretch": StretchPreparation(size=size),
        "letterbox": LetterboxPreparation(size=size),
        "whole": PhotoPreparation(resize=max(size), size=size),
        "photo": PhotoPreparation(resize=round(max(size) * ENLARGED), size=size),
    }
    if reading.preparation != "auto":
        chosen = _preparer(kinds[reading.preparation], gray=gray)
    else:
        if all(each == size for each in look.sizes):  # then these are the same but the last
            kinds = {"stretch": kinds["stretch"]}
        candidates = [_preparer(kind, gray=gray) for kind in kinds.values()]
        # Digits that were written with a coloured pen are digits too.
        may_be_digits = gray or (reading.gray is None and set(listing.names) <= set("0123456789"))
        if may_be_digits and reading.size in (None, SIDE):
            candidates.append(DIGITS)
        chosen = _best(listing, candidates)
    log.info(
        "%s: images are prepared by %s, %d x %d, %s. --preparation, --size and --gray choose "
        "otherwise.",
        listing.where, name_of(chosen.preparation), *chosen.shape[:2],
        "gray" if len(chosen.shape) == 2 else "in colour",
    )  # fmt: skip
    return chosen


def name_of(preparation: Preparation) -> str:
    """Its kind, and for a photo the size to which its shorter side is scaled."""
    if isinstance(preparation, PhotoPreparation):
        return f"photo (resize {preparation.resize})"
    return preparation.kind


def _preparer(preparation: Preparation, *, gray: bool) -> Preparer:
    return preparer_of(preparation, preparation.size if gray else (*preparation.size, 3))


def _check_digit(reading: Reading) -> None:
    if reading.size not in (None, SIDE):
        raise BadData(
            f"--preparation digit makes images of {SIDE} x {SIDE}: omit --size {reading.size}, or "
            "choose another preparation"
        )
    if reading.gray is False:
        raise BadData("--preparation digit makes gray images: omit --no-gray")


# ---- size and colours ------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """What some of the training images have in common."""

    sizes: Sequence[tuple[int, int]]  # height and width of each
    coloured: bool  # whether one of them has colours


def _look(listing: Listing) -> Look:
    images = listing.images
    if isinstance(images, np.ndarray):
        return Look([images.shape[1:3]], coloured=False)
    places = np.linspace(0, listing.train - 1, min(LOOKED_AT, listing.train)).astype(int)
    sizes, coloured = [], False
    fault: BadImage | None = None
    for path in (images[place] for place in places):
        try:
            sizes.append(read_size(path))
            coloured = coloured or has_colours(read_raster(path))
        except BadImage as error:  # reading all images decides whether these are too many
            fault = error
    if not sizes:
        raise BadData(f"no image of {listing.where} can be read: {fault}")
    return Look(sizes, coloured)


def _size(listing: Listing, look: Look, reading: Reading) -> Size:
    """The size that was requested, that of an array's images, or one that suits the files."""
    if reading.size is not None:
        return reading.size, reading.size
    if isinstance(listing.images, np.ndarray):
        (size,) = look.sizes
        if not SIDES[0] <= min(size) <= max(size) <= LARGEST:
            raise BadData(
                f"{listing.where}: the images are {size[0]} x {size[1]} pixels, not {SIDES[0]} to "
                f"{LARGEST}: --size 64 scales them"
            )
        return size
    shorter = float(np.median([min(size) for size in look.sizes]))
    if shorter < SIDES[0]:
        raise BadData(
            f"{listing.where}: the images are {shorter:g} pixels high or wide, and at least "
            f"{SIDES[0]} show something: --size 28 enlarges them"
        )
    side = min(SIZES, key=lambda each: abs(each - shorter))
    return side, side


# ---- trials ----------------------------------------------------------------------------------


def _best(listing: Listing, candidates: Sequence[Preparer]) -> Preparer:
    """The candidate with which a small network learns most in a short training.

    Of equal ones it is the first. Images that the digits' preparation leaves as they are have been
    prepared in this way before. It is kept for them, so that any others become like these.
    """
    if len(candidates) == 1:
        return candidates[0]
    most = min(TRIED_ON, *(TRIED_BYTES // int(np.prod(each.shape)) for each in candidates))
    places = np.random.default_rng(0).permutation(listing.train)[:most]
    fewest = FEWEST * len(listing.names)
    trials = _trials(listing, places, candidates) if len(places) >= fewest else []
    if not trials or trials[0].usable.sum() < fewest:
        log.info("%s: there are too few images to compare preparations", listing.where)
        return candidates[0]
    if candidates[-1] is DIGITS and _share_of_same(trials[0], trials[-1]) > 1 - 1 / UNUSABLE:
        return DIGITS
    rows, best, highest = [], candidates[0], -1.0
    for number, (each, trial) in enumerate(zip(candidates, trials, strict=True)):
        blank = int(trials[0].usable.sum() - trial.usable.sum())
        if blank > len(places) // UNUSABLE:
            rows.append((each, f"not possible: {blank:,} of {len(places):,} images are blank"))
            continue
        same = (k for k in range(number) if _share_of_same(trials[k], trial) == 1)
        if (first := next(same, None)) is not None:
            rows.append((each, f"the same images as by {name_of(candidates[first].preparation)}"))
            continue
        labels = torch.from_numpy(listing.labels[places[trial.usable]].astype(np.int64))
        accuracy = _accuracy(trial, labels, len(listing.names))
        rows.append((each, f"{accuracy:.1%}"))
        if accuracy > highest:
            best, highest = each, accuracy
    log.info(
        "%s: accuracy after a short training on some of the training images, by preparation:\n%s",
        listing.where,
        "\n".join(f"  {name_of(each.preparation):18} {found}" for each, found in rows),
    )
    return best


@dataclass(frozen=True)
class Trial:
    """Some training images, prepared in one way."""

    pixels: Pixels  # (n, h, w) or (n, h, w, 3)
    usable: NDArray[np.bool_]  # (n,)


def _trials(
    listing: Listing, places: NDArray[np.intp], candidates: Sequence[Preparer]
) -> list[Trial]:
    """The images at `places`, prepared by each of the candidates. Each is decoded once."""
    trials = [
        Trial(np.zeros((len(places), *each.shape), np.uint8), np.zeros(len(places), np.bool_))
        for each in candidates
    ]
    # That of a photo is the finest: all candidates need at least so many pixels.
    finest = next((each for each in reversed(candidates) if each is not DIGITS), candidates[0])

    def prepare(number: int) -> None:
        try:
            raster = raster_of(listing.images, int(places[number]), finest)
        except BadImage:
            return
        for each, trial in zip(candidates, trials, strict=True):
            try:
                trial.pixels[number] = each(raster)
                trial.usable[number] = True
            except Blank:
                pass

    results = in_threads(prepare, len(places))
    for _ in shown(results, len(places), f"Comparing preparations of {listing.where}"):
        pass
    return trials


def _share_of_same(one: Trial, other: Trial) -> float:
    """The share of the images of which two preparations make the same pixels."""
    if one.pixels.shape != other.pixels.shape:
        return 0.0
    same = (one.pixels == other.pixels).reshape(len(one.pixels), -1).all(1)
    return float((same & (one.usable == other.usable)).mean())


def _accuracy(trial: Trial, labels: Tensor, classes: int) -> float:
    """Of a small network, on the held-out images, after about TRIED_ON others in random order."""
    pixels = torch.from_numpy(trial.pixels[trial.usable])
    held_out = torch.arange(len(labels)) % HELD_OUT == 0
    train, truth = pixels[~held_out], labels[~held_out]
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(0)
        network = _network(trial.pixels.shape[1:], classes)
        orders = [torch.randperm(len(train)) for _ in range(-(-TRIED_ON // len(train)))]
        batches = torch.split(torch.cat(orders)[:TRIED_ON], BATCH)
        optimiser = torch.optim.Adam(network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=len(batches))
        for batch in batches:
            loss = F.cross_entropy(network(_scaled(train[batch])), truth[batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        network.eval()
        with torch.inference_mode():
            parts = torch.split(pixels[held_out], BATCH)
            logits = torch.cat([network(_scaled(part)) for part in parts])
    return float((logits.argmax(1) == labels[held_out]).double().mean())


@contextmanager
def _one_thread() -> Iterator[None]:
    """More threads of PyTorch slow such small batches down."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _network(shape: tuple[int, ...], classes: int) -> nn.Module:
    """A small network for images of `shape`; those of 64 pixels and more are halved first, or more.

    It costs a second a thousand images at most, whatever their size.
    """
    channels = 3 if len(shape) == 3 else 1
    factor = max(1, min(shape[:2]) // 32)
    return nn.Sequential(
        nn.AvgPool2d(factor),
        nn.Conv2d(channels, 16, 5, padding=2, bias=False),
        nn.MaxPool2d(2), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.MaxPool2d(2), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * 64, classes),
    )  # fmt: skip


def _scaled(pixels: Tensor) -> Tensor:
    """(n, h, w) or (n, h, w, 3) uint8 as (n, channels, h, w) float32 from -1 to 1."""
    images = pixels.unsqueeze(1) if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2)
    # Convolutions over channels-last tensors take half the CPU time.
    return (images.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
