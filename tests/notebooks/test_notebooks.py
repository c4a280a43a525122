"""Every notebook runs from its first to its last cell, on small settings.

`make test-notebooks` runs the tests of this folder: they need Jupyter.
"""

import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tools.notebooks import NOTEBOOKS, PAGES, clear, executed, holds_outputs, notebooks

each_notebook = pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
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


@each_notebook
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    assert not holds_outputs(path)


@each_notebook
def test_the_page_of_a_notebook_has_all_its_text(path: Path) -> None:
    page = (PAGES / f"{path.stem.replace('_', '-')}.md").read_text()
    cells = [cell.source.strip().rstrip(";") for cell in nbformat.read(path, as_version=4).cells]
    assert [text for text in cells if text not in page] == []


@each_notebook
def test_an_editor_finds_the_language_and_the_kernel(path: Path) -> None:
    metadata = nbformat.read(path, as_version=4).metadata
    assert metadata.kernelspec.name == "python3"
    assert metadata.language_info.name == "python"


def test_the_environment_has_the_scripts_of_the_widgets_for_editors_without_a_server() -> None:
    scripts = Path(sys.prefix) / "share/jupyter/nbextensions"
    for name in ("anywidget/index.js", "jupyter-js-widgets/extension.js"):
        assert (scripts / name).is_file()


def test_outputs_are_noticed_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "one.ipynb"
    cell = nbformat.v4.new_code_cell("1 + 1", execution_count=1)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert holds_outputs(path)
    clear(path)
    assert not holds_outputs(path)
