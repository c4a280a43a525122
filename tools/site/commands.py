"""The page of the command lines: what each program prints for --help."""

import os
import re
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from unittest.mock import patch

from tools.site.markdown import code, page

PROGRAMS = {
    "From images to a service": ("training", "export", "contract", "service", "retraining"),
    "Images": (
        "preprocessing.contact_sheet", "contract.label_studio", "tools.wild", "tools.non_digits",
    ),
    "Load and speed": (
        "loadtest", "loadtest.capacity", "loadtest.soak", "loadtest.bench", "loadtest.bench_scale",
        "loadtest.bench_gpu", "loadtest.drawings", "service.engine.benchmark",
    ),
    "Checks of a running service": (
        "tools.accuracy", "tools.fuzz", "tools.fuzz_http", "tools.swap", "tools.chaos",
        "tools.learn_hand", "tools.bench_retraining", "tools.bench_web",
    ),
    "The repository": ("tools.audit", "tools.notebooks", "tools.web_pictures"),
}  # fmt: skip
WIDTH = 100  # columns of the help texts


def commands() -> str:
    parts = [
        "Each program runs from the root of the checkout, as `.venv/bin/python -m NAME`. `make` "
        "without a target lists the targets that run them."
    ]
    for subject, modules in PROGRAMS.items():
        parts.append(f"## {subject}")
        for module in modules:
            text = help_of(module)
            parts += _described(module, text)
            for word in subcommands(module, text):
                described = help_of(module, word)
                if described != text:
                    parts += _described(f"{module} {word}", described)
    return page("Command lines", *parts)


def _described(command: str, text: str) -> list[str]:
    anchor = re.sub(r"\W+", "-", command)
    return [f"### {code(f'python -m {command}')} {{ #{anchor} }}", f"```text\n{text}```"]


def subcommands(module: str, text: str) -> list[str]:
    """The words that a help text lists under COMMAND, or in examples of its own command line."""
    _, _, listed = text.partition("\n  COMMAND\n")
    words = re.findall(r"^    ([a-z]+) +[a-z]", listed, re.MULTILINE)
    return words or [*dict.fromkeys(re.findall(rf"python -m {module} ([a-z]+)\b", text))]


def help_of(module: str, *words: str) -> str:
    """What `python -m module WORDS --help` prints."""
    main = import_module(module if hasattr(import_module(module), "main") else f"{module}.__main__")
    printed = StringIO()
    with (
        patch.object(sys, "argv", [module, *words, "--help"]),
        patch.dict(os.environ, COLUMNS=str(WIDTH)),
        redirect_stdout(printed),
        redirect_stderr(printed),
        suppress(SystemExit),
    ):
        main.main()
    return printed.getvalue()
