"""Does it read yours? Classify a folder of labelled images and report those that are misread.

    python -m tools.wild FOLDER [--sheet misread.png]

FOLDER has a folder for each label, or a table labels.csv with the columns file, label and, if there
is one, source. Prints how many images are classified correctly, wrongly although the confidence is
above the model's threshold, below the threshold, and not at all, by label and by source. The sheet
shows each misread image beside the pixels that the network saw. Without HTTP and without a service.
"""

import csv
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnxruntime as ort

from contract.card import INPUT, ONNX, PROBABILITIES
from contract.command_line import program
from contract.errors import StoreError
from contract.store import Store
from contract.version import Version
from loadtest.arguments import fraction
from preprocessing.contact_sheet import draw_sheet
from preprocessing.decoder import NotAnImage, TooManyPixels
from preprocessing.digits.normalize import Blank
from preprocessing.preparation import Pixels, preparer_of
from training.own import images_in

TABLE = "labels.csv"
MAX_PIXELS = 10**8
BATCH = 64
MOST_TILES = 300  # on the sheet


class Labelled(NamedTuple):
    file: Path
    label: str
    source: str


class Answer(NamedTuple):
    image: Labelled
    label: str | None  # None: it was refused
    confidence: float  # 0 if it was refused
    reason: str = ""

    def state(self, threshold: float) -> str:
        if self.label is None:
            return "refused"
        sure = self.confidence >= threshold
        if self.label == self.image.label:
            return "right" if sure else "right, unsure"
        return "wrong, sure" if sure else "wrong, unsure"


STATES = ("right", "right, unsure", "wrong, unsure", "wrong, sure", "refused")


def main(words: Sequence[str] | None = None) -> int:
    parser = program("tools.wild", __doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    parser.add_argument("--name", default="digits", help="of the model; default: digits")
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="of the misread images")
    share = "share that must be classified correctly, such as 95%%; default: 0%%"
    parser.add_argument("--at-least", type=fraction, default=0.0, metavar="SHARE", help=share)
    arguments = parser.parse_args(words)
    try:
        version = Store(arguments.models, arguments.name).open()
        images = labelled(arguments.folder, version.card.labels)
    except (StoreError, OSError, ValueError) as error:
        parser.error(str(error))
    threshold = version.card.threshold
    answers = list(classified(version, images))

    right = sum(answer.label == answer.image.label for answer in answers)
    print(
        f"{arguments.name} {version.number}: {right:,} of {len(answers):,} images are classified "
        f"correctly, {right / len(answers):.2%}; sure is a confidence of {threshold:.3f} or more\n"
    )
    print(table("label", answers, threshold, lambda image: image.label))
    if any(image.source for image in images):
        by_source = shares(answers, lambda image: image.source)
        print(f"\nmean over {len(by_source)} sources: {np.mean(list(by_source.values())):.2%}\n")
        print(table("source", answers, threshold, lambda image: image.source))
    for answer in answers:
        if answer.label is None:
            print(f"{answer.image.file}: {answer.reason}", file=sys.stderr)
    if arguments.sheet:
        draw_misread(answers, version, arguments.sheet)
    return int(right < arguments.at_least * len(answers))


def labelled(folder: Path, labels: Sequence[str]) -> list[Labelled]:
    """The images of a folder; ValueError if there are none, or one has an unknown label."""
    if (folder / TABLE).is_file():
        images = list(_of_table(folder))
    else:
        folders = [each for each in sorted(folder.iterdir()) if each.is_dir()]
        images = [Labelled(file, each.name, "") for each in folders for file in images_in(each)]
    if not images:
        raise ValueError(f"{folder} has neither folders of images nor {TABLE}")
    unknown = sorted({image.label for image in images} - set(labels))
    if unknown:
        raise ValueError(
            f"{folder} has the label {unknown[0]!r}, the model has only {', '.join(labels)}"
        )
    return images


def _of_table(folder: Path) -> Iterator[Labelled]:
    with (folder / TABLE).open(newline="") as file:
        rows = csv.DictReader(file)
        missing = {"file", "label"} - set(rows.fieldnames or ())
        if missing:
            raise ValueError(f"{folder / TABLE} has no column {' and no '.join(sorted(missing))}")
        for row in rows:
            yield Labelled(folder / row["file"], row["label"], row.get("source") or "")


def classified(version: Version, images: Iterable[Labelled]) -> Iterator[Answer]:
    card = version.card
    prepare = preparer_of(card.preparation, card.shape)
    session = ort.InferenceSession(version.folder / ONNX, providers=["CPUExecutionProvider"])
    waiting: list[tuple[Labelled, Pixels]] = []

    def run() -> Iterator[Answer]:
        if waiting:
            pixels = np.stack([each for _, each in waiting])  # (n, h, w[, 3])
            (probabilities,) = session.run([PROBABILITIES], {INPUT: pixels})  # (n, labels)
            for (image, _), row in zip(waiting, probabilities, strict=True):
                yield Answer(image, card.labels[int(row.argmax())], float(row.max()))
            waiting.clear()

    for image in images:
        try:
            pixels = prepare.file(image.file.read_bytes(), max_pixels=MAX_PIXELS)
        except (Blank, NotAnImage, TooManyPixels, OSError) as error:
            yield Answer(image, None, 0.0, str(error))
            continue
        waiting.append((image, pixels))
        if len(waiting) == BATCH:
            yield from run()
    yield from run()


def shares(answers: Iterable[Answer], key: Callable[[Labelled], str]) -> dict[str, float]:
    """The share of correct answers by label or source."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for answer in answers:
        groups[key(answer.image)].append(answer.label == answer.image.label)
    return {name: sum(each) / len(each) for name, each in sorted(groups.items())}


def table(
    what: str, answers: Iterable[Answer], threshold: float, key: Callable[[Labelled], str]
) -> str:
    """A row for each label or source, the numbers of images by state, and the share right."""
    answers = list(answers)
    groups: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(STATES, 0))
    for answer in answers:
        groups[key(answer.image)][answer.state(threshold)] += 1
    width = max(len(what), *map(len, groups))
    lines = [f"{what:{width}}  {'  '.join(STATES)}  share right"]
    for name, share in shares(answers, key).items():
        cells = "  ".join(f"{groups[name][state]:{len(state)},}" for state in STATES)
        lines.append(f"{name:{width}}  {cells}  {share:11.1%}")
    return "\n".join(lines)


def draw_misread(answers: Iterable[Answer], version: Version, file: Path) -> None:
    misread = [answer for answer in answers if answer.label != answer.image.label]
    if not misread:
        print(f"\nno image is misread: {file} is not written")
        return
    captions = {
        answer.image.file: f"{answer.image.label} read {answer.label or 'nothing'} "
        f"{answer.confidence:.2f}"
        for answer in misread[:MOST_TILES]
    }
    prepare = preparer_of(version.card.preparation, version.card.shape)
    if not cv2.imwrite(str(file), draw_sheet(captions, prepare)):
        raise SystemExit(f"python -m tools.wild: {file} cannot be written")
    more = f", the first {MOST_TILES}" if len(misread) > MOST_TILES else ""
    print(f"\n{len(misread):,} misread images{more}: {file}")


if __name__ == "__main__":
    sys.exit(main())
