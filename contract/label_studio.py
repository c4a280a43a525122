"""Corrections as tasks of Label Studio, and its annotations as decisions.

    FOLDER --export--> tasks.json --> Label Studio --its export, JSON--> --import--> FOLDER

python -m contract.label_studio export FOLDER > tasks.json     those that wait for a decision
python -m contract.label_studio import FOLDER annotated.json   accept what was chosen

A task carries its image as a data URL, so Label Studio needs no access to the folder, and the
labels that users gave as predictions. The labeling configuration of the project is

    <View>
      <Image name="image" value="$image"/>
      <Choices name="label" toName="image"><Choice value="0"/><Choice value="1"/> ... </Choices>
    </View>

A choice accepts an image with that label, whether or not a user had given it. A task that an
annotator skipped is left as it is. Choices must be labels of the current version of --models and
--name, or of --labels; nothing is imported otherwise.
"""

import json
import re
import signal
import sys
from argparse import ArgumentParser, Namespace
from base64 import b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from contract.command_line import program
from contract.corrections import HASH, STATES, CorrectionError, Corrections, NoCorrection
from contract.errors import NotConfirmed, NoVersion, StoreError
from contract.label import Label
from contract.location import location_of
from contract.store import open_store

IMAGE, LABEL = "image", "label"  # names in the labeling configuration
KEY = "sha256"  # of the task's data: which image it is
SHOWN = 20  # labels in an error
_LABEL: TypeAdapter[str] = TypeAdapter(Label)


class BadTasks(Exception):
    """A file does not hold annotated tasks; the message names the file and what is wrong."""


def tasks_of(corrections: Corrections, state: str) -> list[dict[str, Any]]:
    """A task for each image with a correction in that state, the oldest first."""
    found = sorted(corrections.all(), key=lambda each: (each.created, each.sha256))
    images = dict.fromkeys(each.sha256 for each in found if each.state == state)
    return [_task(corrections, image) for image in images]


def decide(corrections: Corrections, chosen: Iterable[tuple[str, str]]) -> list[str]:
    """Accept each image, by its hash, with the label that was chosen.

    Returns the images that are no longer there: they were deleted, or became too old.
    """
    missing = []
    for image, label in chosen:
        try:
            corrections.add(image, label, corrections.png(image), suspicious=True)
            corrections.accept(image, label)
        except NoCorrection:
            missing.append(image)
    return missing


def choices_of(tasks: Any) -> tuple[list[tuple[str, str]], int]:
    """Hash and label of each annotated task of an export, and the number of skipped tasks.

    Of several annotations of a task, the last one counts. BadTasks says what is wrong.
    """
    if not isinstance(tasks, list):
        raise BadTasks("it is not a list of tasks; export the project as JSON")
    chosen, skipped = [], 0
    for number, task in enumerate(tasks, 1):
        try:
            image = str(task["data"][KEY])
            labels = [
                result["value"]["choices"][0]
                for annotation in task["annotations"]
                if not annotation.get("was_cancelled")
                for result in annotation["result"]
                if result["type"] == "choices"
            ]
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise BadTasks(
                f"task {number} has no {error} of a task that `export` wrote and Label Studio "
                "annotated; export the project as JSON, not as JSON-MIN"
            ) from error
        if not re.fullmatch(HASH, image):
            raise BadTasks(f"task {number}: {KEY} is not the hash of an image")
        if labels and labels[-1]:
            chosen.append((image, _label(number, labels[-1])))
        else:
            skipped += 1
    return chosen, skipped


def check_labels(chosen: Iterable[tuple[str, str]], known: Sequence[str]) -> None:
    """BadTasks if a label was chosen that the model does not know, such as a misspelt choice."""
    unknown = sorted({label for _, label in chosen} - {*known})
    if unknown:
        raise BadTasks(
            f"{_some(unknown)}: unknown labels, the model has {_some(known)}; correct the choices "
            "of the labeling configuration, or name the labels with --labels"
        )


def _label(number: int, choice: object) -> str:
    try:
        return _LABEL.validate_python(choice)
    except ValidationError as error:
        raise BadTasks(f"task {number}: {choice!r} cannot be a label") from error


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:SHOWN]) + (", ..." if len(labels) > SHOWN else "")


def main(words: list[str] | None = None) -> int:
    arguments = _parser().parse_args(words)
    try:
        arguments.run(arguments)
    except (BadTasks, CorrectionError, NotConfirmed, OSError, StoreError) as error:
        print(f"label_studio: {error}", file=sys.stderr)
        return 1
    return 0


def _task(corrections: Corrections, image: str) -> dict[str, Any]:
    png = b64encode(corrections.png(image)).decode()
    labels = [each.label for each in corrections.of(image)]
    return {
        "data": {IMAGE: f"data:image/png;base64,{png}", KEY: image},
        "predictions": [
            {
                "model_version": "users",
                "result": [
                    {
                        "from_name": LABEL,
                        "to_name": IMAGE,
                        "type": "choices",
                        "value": {"choices": [label]},
                    }
                ],
            }
            for label in labels
        ],
    }


def _export(arguments: Namespace) -> None:
    tasks = tasks_of(_corrections(arguments), arguments.state)
    print(json.dumps(tasks, indent=1))
    print(f"label_studio: {len(tasks)} images, {arguments.state}", file=sys.stderr)


def _import(arguments: Namespace) -> None:
    try:
        chosen, skipped = choices_of(json.loads(arguments.file.read_text()))
    except (BadTasks, ValueError) as error:
        raise BadTasks(f"{arguments.file}: {error}") from error
    known = _known_labels(arguments)
    if known is None:
        print("label_studio: there is no version, so the labels are not checked", file=sys.stderr)
    else:
        check_labels(chosen, known)
    missing = decide(_corrections(arguments), chosen)
    print(
        f"label_studio: {len(chosen) - len(missing)} images accepted, {skipped} without a choice, "
        f"{len(missing)} no longer there",
        file=sys.stderr,
    )


def _known_labels(arguments: Namespace) -> Sequence[str] | None:
    """Those of --labels, or of the current version; None: there is none."""
    if arguments.labels is not None:
        return str(arguments.labels).split(",")
    store = open_store(arguments.models, arguments.name)
    try:
        return store.card(store.current()).labels
    except NoVersion:
        return None


def _corrections(arguments: Namespace) -> Corrections:
    if not arguments.folder.is_dir():
        raise CorrectionError(f"{arguments.folder} is no folder: name that of DIGITSERVE_FEEDBACK")
    return Corrections(arguments.folder)


def _parser() -> ArgumentParser:
    parser = program("contract.label_studio", __doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, meaning, run in (
        ("export", "print corrections as tasks", _export),
        ("import", "accept what annotators chose", _import),
    ):
        command = commands.add_parser(name, help=meaning, description=meaning)
        command.set_defaults(run=run)
        command.add_argument("folder", type=Path, metavar="FOLDER", help="DIGITSERVE_FEEDBACK")
    commands.choices["export"].add_argument(
        "--state", choices=STATES, default="waiting", help="default: waiting"
    )
    importing = commands.choices["import"]
    importing.add_argument("file", type=Path, metavar="FILE", help="Label Studio's export, as JSON")
    importing.add_argument("--labels", help="those of the model, separated by commas")
    importing.add_argument(
        "--models", type=location_of, metavar="STORE", default=Path("models"),
        help="the store whose current version has the labels",
    )  # fmt: skip
    importing.add_argument("--name", help="name of the model", default="digits")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` has read enough: no traceback
    sys.exit(main())
