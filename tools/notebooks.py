"""The notebooks: check that they hold no outputs, run them, and write their pages for the site.

    python -m tools.notebooks check             exit code 1 if a notebook holds an output
    python -m tools.notebooks clear             remove outputs, as before a commit
    python -m tools.notebooks render            run them, into docs/tutorial/ (make notebooks)

Notebooks are committed without outputs, so that their changes can be read. The site shows each as
it was when it was run last, in docs/tutorial/<name>.md with figures in a folder of that name.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract.command_line import program

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
PAGES = ROOT / "docs/tutorial"
PATIENCE = 1800  # seconds for one cell
PAD = "![a digit is read while it is drawn](../images/notebook-pad.png)"

Notebook = Any  # nbformat.NotebookNode, a dict that has its keys as attributes too


def notebooks() -> list[Path]:
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def holds_outputs(path: Path) -> bool:
    cells = json.loads(path.read_text())["cells"]
    return any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def clear(path: Path) -> None:
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, path)


def executed(path: Path, parameters: Mapping[str, object] | None = None) -> Notebook:
    """The notebook with the outputs of all its cells; CellExecutionError if one fails.

    `parameters` are set after the cell with the tag "parameters"; paths, and values that repr()
    writes as Python.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell

    notebook = nbformat.read(path, as_version=4)
    if parameters:
        (place,) = (number for number, cell in enumerate(notebook.cells) if has(cell, "parameters"))
        lines = [f"{name} = {_expression(value)}" for name, value in parameters.items()]
        notebook.cells.insert(place + 1, new_code_cell("\n".join(lines)))
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources=where).execute()
    return notebook


def _expression(value: object) -> str:
    return f"Path({str(value)!r})" if isinstance(value, Path) else repr(value)


def has(cell: Notebook, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def render(path: Path) -> None:
    """Run a notebook and write its page, with figures beside it."""
    from nbconvert import MarkdownExporter
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    notebook, _ = CoalesceStreamsPreprocessor().preprocess(executed(path), {})
    for cell in notebook.cells:
        if has(cell, "pad"):  # a widget needs a kernel
            cell.outputs = []
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("text/html", None)  # the text reads better on the site
    exporter = MarkdownExporter()
    name = path.stem.replace("_", "-")
    text, resources = exporter.from_notebook_node(
        notebook, resources={"output_files_dir": name, "unique_key": "figure"}
    )
    shutil.rmtree(PAGES / name, ignore_errors=True)
    (PAGES / name).mkdir(parents=True)
    for file, content in resources["outputs"].items():
        (PAGES / file).write_bytes(content)
    (PAGES / f"{name}.md").write_text(tidied(text))
    print(f"{PAGES / name}.md", file=sys.stderr)


def tidied(text: str) -> str:
    """Without control sequences and folders of this machine, and with an image of the pad."""
    if folder := os.environ.get("MNIST_DIR"):
        text = text.replace(folder, "MNIST_DIR")
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    text = text.replace("![png]", "![figure]")
    text = text.replace("\npad\n```\n", f"\npad\n```\n\n{PAD}\n")
    text = re.sub(r"[ \t]+\n", "\n", text).replace(";\n```\n", "\n```\n")  # ; hides a result
    parts = text.split("```")  # every second one is code
    parts[::2] = [re.sub(r"\n{3,}", "\n\n", part) for part in parts[::2]]
    return "```".join(parts).strip() + "\n"


def main(words: list[str] | None = None) -> int:
    parser = program("tools.notebooks", __doc__)
    parser.add_argument("command", choices=["check", "clear", "render"])
    command = parser.parse_args(words).command
    if command == "check":
        wrong = [path for path in notebooks() if holds_outputs(path)]
        for path in wrong:
            print(f"{path.relative_to(ROOT)} holds outputs: python -m tools.notebooks clear")
        return int(bool(wrong))
    for path in notebooks():
        {"clear": clear, "render": render}[command](path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
