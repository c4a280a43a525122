"""Train a network: python -m training [--data SET or DIR] [--preset NAME] [--epochs N] ...

python -m training                      train on MNIST (MNIST_DIR, or a download) into runs/<id>/
python -m training --resume RUN         resume a training that was stopped
python -m training evaluate RUN         evaluate a finished run again, on other data too
python -m training predict IMAGE ...    the class of each image, by the last run
python -m training compare RUN RUN ...  a table of runs
python -m training sweep ...            search for the best recipe: many trainings
torchrun --nproc_per_node=2 -m training ...    in two processes
"""

import logging
import os
import signal
import sys
from argparse import Namespace
from typing import NoReturn

from contract.command_line import end_at_interrupt, raise_at_interrupt, suggestion

if __name__ == "__main__":  # PyTorch takes seconds to import
    end_at_interrupt("training")

from torch import distributed

from contract.errors import NotConfirmed
from training.commands import BadSweep, compare, evaluate, predict, sweep
from training.flags import also_of, checked_options, data_and_options, data_set_of, parser
from training.idx import BadData
from training.loop import Stopped
from training.place import place_of
from training.reading import Reading
from training.recipe import BadRecipe, Recipe
from training.run import BadRun, Run
from training.settings import is_first_process, mnist_dir
from training.train import resume, resume_command, train_into

COMMANDS = {"evaluate": evaluate, "predict": predict, "compare": compare, "sweep": sweep}


def main(words: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    words = sys.argv[1:] if words is None else words
    try:
        if words and words[0] in COMMANDS:
            COMMANDS[words[0]](words[1:], mnist_dir())
        else:
            flags = parser(__doc__)
            if words and not words[0].startswith("-"):
                flags.error(f"there is no command {words[0]}{suggestion(words[0], COMMANDS)}")
            _train(flags.parse_args(words))
    except (BadData, BadRecipe, BadRun, BadSweep, NotConfirmed, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        if stopped.folder is not None and is_first_process():
            how = resume_command(Run(stopped.folder))
            print(f"training: {stopped.reason}. Resume it with: {how}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("training: stopped", file=sys.stderr)
        return 130
    return 0


def _train(arguments: Namespace) -> None:
    if arguments.resume:
        reading = Reading.given_in(arguments)
        others = (arguments.preset, arguments.recipe, arguments.data, arguments.job,
                  arguments.also)  # fmt: skip
        if Recipe.given_in(arguments) or any(others) or reading != Reading():
            raise BadRecipe("--resume uses the data and the recipe of the run: omit other flags")
        run = Run(arguments.resume)
        facts = run.facts()
        with place_of(Recipe.made_of(facts["recipe"])) as place:
            reading = Reading.of_facts(facts["data"])
            resume(run, data_set_of(facts["data"]["wanted"], reading, place), place=place)
        return
    preset, given = checked_options(arguments)
    with place_of(Recipe.made_of(preset, given)) as place:
        data, options = data_and_options(arguments, place)
        recipe = Recipe.made_of(options, given)
        recipe.check_use(given)
        also = also_of(arguments.also, data, place)
        train_into(arguments.runs, data, recipe, place=place, job=arguments.job, also=also)


def _leave(code: int) -> NoReturn:
    """End the process, under torchrun without PyTorch's cleanup.

    The cleanup sometimes destroys the threads of the process group in an order that aborts the
    process (2.13, gloo), although all files are written.
    """
    if distributed.is_torchelastic_launched():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    raise_at_interrupt()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, in all parts
    _leave(main())
