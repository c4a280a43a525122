"""How a data set is read, and the images of one: files or arrays to pixels, in threads.

    files, or gray arrays --decode--> rasters --preprocessing--> pixels (n, h, w) or (n, h, w, 3)

Decoding and scaling release the interpreter's lock, so threads use all cores. What was read from
many files is kept in a cache, for the next training.
"""

import json
import logging
import sys
import time
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import Console
from rich.progress import track

from contract.card import Preparation
from contract.cgroup import available_cores
from preprocessing.decoder import Raster
from preprocessing.digits.normalize import Blank
from preprocessing.preparation import Pixels, Preparer
from training import cache
from training.idx import BadData
from training.image import BadImage, has_colours, read_raster

Images = Sequence[Path] | NDArray[np.uint8]  # image files, or gray pixels (n, h, w)
Kind = Literal["auto", "digit", "photo", "letterbox", "stretch"]
KINDS = get_args(Kind)
Result = TypeVar("Result")

SIDES = (8, 512)  # pixels, the smallest and the largest side of a network's images
UNUSABLE = 100  # one image in so many may be blank or unreadable, and is left out
NAMED = 20  # of those, at most
CACHED = 500  # files; fewer are read in less than a second
BLOCK = 32  # images that a thread reads at a time
PAUSE = 5.0  # seconds between two lines of progress, where the output is not a terminal

_WHERE = Path("<data set>")  # stands in the cache for the folder, which may be moved

log = logging.getLogger("training")


class Reading(BaseModel):
    """How the images of a data set are read. A run stores it, to be resumed with the same images.

    `size` is in pixels. Without it, it follows from the images, as `gray` does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Annotated[int, Field(ge=SIDES[0], le=SIDES[1])] | None = None  # height and width
    gray: bool | None = None  # without colours, or with them; None: as the images have them
    limit: Annotated[int, Field(ge=1)] | None = None  # training images of a class; None: all
    preparation: Preparation | Kind = "auto"  # auto: the kind that suits the images best

    @classmethod
    def of(cls, **options: Any) -> Self:
        """A reading with these options; BadData names a value that is not possible."""
        try:
            return cls(**options)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            value = options.get(name)
            raise BadData(f"--{name} is {value!r}, it must be {_ALLOWED.get(name)}") from error

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        """That of a run, from the facts of its data. Earlier runs read images of digits only."""
        return cls.model_validate_json(json.dumps(facts.get("reading", {"preparation": "digit"})))

    def differences(self, used: Self) -> list[str]:
        """Which of these options, as far as they were given, differ from those that are `used`."""
        kind, size = used.preparation, used.size
        if not isinstance(kind, str):
            size, kind = kind.size[0], kind.kind
        values = {"size": size, "gray": used.gray, "limit": used.limit, "preparation": kind}
        given = self.model_dump(exclude_defaults=True)
        return [f"{name}={value!r}" for name, value in given.items() if value != values[name]]

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        group = parser.add_argument_group("how the images of your own data are read")
        group.add_argument(
            "--size",
            type=int,
            metavar="N",
            help=f"N x N pixels, {SIDES[0]} to {SIDES[1]} (default: near the size of the "
            "images, at most 96; of IDX and .csv files their own)",
        )
        group.add_argument(
            "--gray",
            action=BooleanOptionalAction,
            help="without colours, or with them (default: with, if the images have any)",
        )
        group.add_argument(
            "--limit", type=int, metavar="N", help="only the first N training images of a class"
        )
        group.add_argument(
            "--preparation",
            choices=KINDS,
            default="auto",
            help="how any image is brought to this size, in training and in the service: digit "
            "finds a digit, scales and centres it; photo scales the shorter side and cuts out the "
            "middle; letterbox adds borders; stretch changes the proportions (default: auto tries "
            "each in a short training and keeps the best)",
        )

    @classmethod
    def given_in(cls, words: Namespace) -> Self:
        """The options that were given on the command line."""
        return cls.of(**{name: getattr(words, name) for name in cls.model_fields})


_ALLOWED = {
    "size": f"a whole number from {SIDES[0]} to {SIDES[1]}, in pixels",
    "gray": "true or false",
    "limit": "a whole number of at least 1",
    "preparation": f"one of: {', '.join(KINDS)}",
}


class Contents(NamedTuple):
    """The images that were read."""

    pixels: Pixels  # (n, h, w) or (n, h, w, 3), of those that can be used
    usable: NDArray[np.bool_]  # which of all images these are
    faults: tuple[str, ...]  # of the others, a sentence each
    coloured: int  # number of images with colours, where the network reads gray ones

    def moved(self, old: Path, new: Path) -> Self:
        """With faults that name files below `new` instead of `old`."""
        return self._replace(faults=tuple(each.replace(str(old), str(new)) for each in self.faults))


def read_images(where: Path, images: Images, prepare: Preparer, caches: Path) -> Contents:
    """The pixels of all images that can be used, in order.

    Up to one in UNUSABLE may be blank or unreadable: these are named, and BadData is raised if
    there are more. `caches` is the folder for what is read from many files.
    """
    key = None
    if isinstance(images, Sequence) and len(images) >= CACHED:
        key = cache.key_of(where, images, prepare)
    arrays = cache.load(caches, key, (*prepare.shape,)) if key else None
    if arrays is None:
        contents = _read(where, images, prepare)
        if key:
            cache.store(caches, key, contents.moved(where, _WHERE)._asdict())
    else:
        log.info("%s: %s images are read from the cache in %s", where, f"{len(images):,}", caches)
        contents = Contents(
            arrays["pixels"],
            arrays["usable"],
            tuple(map(str, arrays["faults"])),
            int(arrays["coloured"]),
        ).moved(_WHERE, where)
    _report(where, contents)
    return contents


def _read(where: Path, images: Images, prepare: Preparer) -> Contents:
    pixels = np.empty((len(images), *prepare.shape), np.uint8)
    is_gray = len(prepare.shape) == 2

    def read(place: int) -> tuple[str | None, bool]:
        try:
            raster = raster_of(images, place, prepare)
            pixels[place] = prepare(raster)
        except (BadImage, Blank) as error:
            return str(error), False
        return None, is_gray and has_colours(raster)

    usable = np.ones(len(images), np.bool_)
    faults: list[str] = []
    coloured = 0
    with closing(in_threads(read, len(images))) as results:
        for place, (fault, has) in enumerate(shown(results, len(images), f"Reading {where}")):
            coloured += has
            if fault is not None:
                usable[place] = False
                faults.append(_naming(images, place, where, fault))
    _check_share(where, faults, len(images))
    return Contents(pixels if usable.all() else pixels[usable], usable, tuple(faults), coloured)


def raster_of(images: Images, place: int, prepare: Preparer) -> Raster:
    """The raster of one image, decoded as far as `prepare` needs it; BadImage names the file."""
    image = images[place]
    return read_raster(image, prepare.reduction) if isinstance(image, Path) else image


def in_threads(work: Callable[[int], Result], count: int) -> Generator[Result, None, None]:
    """The results of `work` for 0, 1, ... in order, by as many threads as there are cores."""
    blocks = [range(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
    pool = ThreadPoolExecutor(available_cores())
    try:
        for results in pool.map(lambda block: [work(place) for place in block], blocks):
            yield from results
    finally:  # also if the caller stops early, or after Ctrl-C
        pool.shutdown(cancel_futures=True)


def _naming(images: Images, place: int, where: Path, fault: str) -> str:
    name = str(images[place]) if isinstance(images, Sequence) else f"{where}: image {place}"
    return fault if name in fault else f"{name}: {fault}"


def _check_share(where: Path, faults: Sequence[str], images: int) -> None:
    if len(faults) > images // UNUSABLE:
        raise BadData(
            f"{len(faults):,} of {images:,} images of {where} cannot be used, and only one in "
            f"{UNUSABLE} may be left out: remove or replace them\n  {_listed(faults)}"
        )


def _listed(faults: Sequence[str]) -> str:
    more = [f"and {len(faults) - NAMED:,} more"] if len(faults) > NAMED else []
    return "\n  ".join([*faults[:NAMED], *more])


def _report(where: Path, contents: Contents) -> None:
    """Say what is left out and what is discarded."""
    if contents.faults:
        log.warning(
            "%s: left out %d of %d images:\n  %s",
            where, len(contents.faults), len(contents.usable), _listed(contents.faults),
        )  # fmt: skip
    if contents.coloured:
        log.warning(
            "%s: %s of %s images have colours, which are discarded: the network reads gray images "
            "of %d x %d. Classes that differ in their colours alone cannot be told apart.",
            where, f"{contents.coloured:,}", f"{len(contents.pixels):,}",
            *contents.pixels.shape[1:],
        )  # fmt: skip


def shown(results: Iterator[Result], total: int, what: str) -> Iterator[Result]:
    """The results, with a bar on a terminal, else with a line every few seconds."""
    console = Console(file=sys.stderr)
    if console.is_terminal:
        yield from track(results, what, total, console=console, transient=True)
        return
    shown = time.monotonic()
    for done, result in enumerate(results, 1):
        yield result
        if time.monotonic() - shown > PAUSE:
            shown = time.monotonic()
            log.info("%s: %s of %s images", what, f"{done:,}", f"{total:,}")
