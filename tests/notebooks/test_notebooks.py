"""Every notebook runs from its first to its last cell, on small settings.

`make test-notebooks` runs the tests of this folder: they need Jupyter.
"""

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tools.notebooks import NOTEBOOKS, clear, executed, holds_outputs

SMALL: dict[str, dict[str, object]] = {
    "tour": {"DATA": "digits", "OPTIONS": {"epochs": 2}},
    "own_images": {"IMAGES": 32, "OPTIONS": {"size": 24, "epochs": 8, "preparation": "stretch"}},
}


def printed(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def figures(notebook: Any) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def small(name: str, folder: Path) -> Any:
    """A notebook that was executed with small settings, whose files are in `folder`."""
    parameters = SMALL[name] | {"WORK": folder}
    return executed(NOTEBOOKS / f"{name}.ipynb", parameters)


def test_the_tour_trains_proves_serves_and_reads(tmp_path: Path) -> None:
    notebook = small("tour", tmp_path)
    assert "200 of 200 predictions agree" in printed(notebook)
    assert "model.onnx" in printed(notebook)
    assert figures(notebook) == 6


def test_own_images_are_classified_by_the_service(tmp_path: Path) -> None:
    notebook = small("own_images", tmp_path)
    names = ("beach", "city", "forest", "mountains")
    assert sum(f"{name}: {name} (" in printed(notebook) for name in names) >= 3
    assert figures(notebook) == 4


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    assert not holds_outputs(path)


def test_outputs_are_noticed_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "one.ipynb"
    cell = nbformat.v4.new_code_cell("1 + 1", execution_count=1)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert holds_outputs(path)
    clear(path)
    assert not holds_outputs(path)
