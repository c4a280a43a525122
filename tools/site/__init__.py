"""The documentation site: `make docs` builds it, `make docs-serve` shows it while pages are edited.

The pages are the files of docs/, and those of the reference that `hooks` generates from the code in
each build, so that no setting, metric, route or flag can be missing there.

    hooks      adds the generated pages to the site
    tables     settings, metrics, problem types, options of a recipe
    routes     the HTTP API, from the OpenAPI document of a service
    commands   the help texts of all programs
    card       the fields of a model card, from its JSON Schema
    markdown   cells, tables and links
    diagrams   the drawings in docs/images, written by python -m tools.site.diagrams
"""
