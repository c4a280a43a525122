"""A mistake in the documents fails `make docs`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.running import ROOT


def build(folder: Path, pages: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`mkdocs build` with the project's options, of which `index.md` is in the navigation."""
    (folder / "docs").mkdir()
    for name, text in pages.items():
        (folder / "docs" / name).write_text(text)
    changes = {"docs_dir": "docs", "hooks": [], "nav": ["index.md"], "extra_css": [], "watch": []}
    (folder / "mkdocs.yml").write_text(
        yaml.safe_dump({"INHERIT": str(ROOT / "mkdocs.yml"), **changes})
    )
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build"],
        cwd=folder, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
    )  # fmt: skip


def test_pages_without_a_mistake_are_built(tmp_path: Path) -> None:
    done = build(tmp_path, {"index.md": "# Start\n\n[here](#start)\n"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/index.html").exists()


@pytest.mark.parametrize(
    ("pages", "complaint"),
    [
        ({"index.md": "[gone](gone.md)"}, "gone.md"),
        ({"index.md": "[nowhere](#nowhere)"}, "#nowhere"),
        ({"index.md": "![gone](gone.png)"}, "gone.png"),
        ({"index.md": "# Start", "orphan.md": "# Orphan"}, "orphan.md"),
    ],
    ids=["a link", "an anchor", "an image", "a page that is not in the navigation"],
)
def test_a_mistake_fails_the_build_and_is_named(
    tmp_path: Path, pages: dict[str, str], complaint: str
) -> None:
    done = build(tmp_path, pages)
    assert done.returncode == 1
    assert complaint in done.stderr
