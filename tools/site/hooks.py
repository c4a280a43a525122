"""Adds the generated pages to the site; mkdocs.yml names this file."""

from functools import cache

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from tools.site.card import model_card
from tools.site.commands import commands
from tools.site.routes import routes
from tools.site.tables import metrics, problems, recipe, settings

PAGES = {
    "settings": settings,
    "metrics": metrics,
    "routes": routes,
    "problems": problems,
    "commands": commands,
    "card": model_card,
    "recipe": recipe,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by mkdocs for each build."""
    for name in PAGES:
        files.append(File.generated(config, f"reference/{name}.md", content=_content(name)))
    return files


@cache
def _content(name: str) -> str:
    """Generated once a process: `make docs-serve` builds again at each change of a page."""
    return PAGES[name]()
