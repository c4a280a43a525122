"""Pages of the reference that are tables: settings, metrics, problem types, recipes."""

from dataclasses import fields
from typing import Any

from service.errors import ProblemType
from service.problem_types import SUBJECTS, TYPES
from service.settings import PREFIX, SECRETS, Settings
from service.telemetry.metrics.gpu import FIELDS
from service.telemetry.metrics.registry import Metrics
from tools.site.markdown import anchored, code, page, prose, sentence, table
from training.presets import PRESETS
from training.recipe import USED_WITH, Recipe, flag

BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}


def settings() -> str:
    """Every setting of the service."""
    schema = Settings.model_json_schema()["properties"]
    return page(
        "Settings",
        "Every setting of the service is an environment variable, read once at start, and, unless "
        "it is a secret, a flag of `python -m service`: `DIGITSERVE_MAX_QUEUE=64` and "
        "`--max-queue 64` are the same, and the flag wins. A secret is also read from the file "
        "that `DIGITSERVE_<NAME>_FILE` names, or from a Docker secret such as "
        "`/run/secrets/digitserve_admin_token`. A value outside its limits is named before the "
        "port opens, and the service exits with 2. Times are seconds, sizes bytes.",
        table(
            ["setting", "default", "limits", "meaning"],
            [
                (
                    anchored(name, code(f"{PREFIX}{name.upper()}")),
                    _default(name, field.default),
                    _limits(schema[name]),
                    sentence(field.description or "") + (" **Secret.**" if name in SECRETS else ""),
                )
                for name, field in Settings.model_fields.items()
            ],
        ),
        contents=False,
    )


def _default(name: str, default: object) -> str:
    if name == "threads":
        return "the cores"
    return "" if default in (None, (), "") else code(default)


def _limits(schema: dict[str, Any]) -> str:
    """Bounds and choices as in JSON Schema, without `null`."""
    schema = {**schema, **schema.get("anyOf", [{}])[0]}
    if "enum" in schema:
        return ", ".join(map(code, schema["enum"]))
    return ", ".join(
        text.format(f"{schema[key]:,}") for key, text in BOUNDS.items() if key in schema
    )


def metrics() -> str:
    """Every metric of the service."""
    rows = [
        (code(each.name + _labels(each.labels)), each.kind, sentence(each.meaning))
        for each in Metrics().described
    ]
    rows += [
        (code(f"digitserve_{name}" + _labels(("gpu",))), "gauge", sentence(meaning))
        for name, (meaning, _) in FIELDS.items()
    ]
    return page(
        "Metrics",
        "`GET /metrics` returns Prometheus' text format, or OpenMetrics with exemplars if `Accept` "
        "prefers it. Units are base units; a histogram has the series `_bucket`, `_sum` and "
        "`_count`. With several workers, any of them returns the sums of all.",
        table(["metric", "type", "meaning"], rows),
        "`version` is the version that answered, or `none` where no model did; the last four "
        "served versions have series, the last two in `input_images_total`. A version whose card "
        "has no distributions of its test images has neither `expected_share` nor "
        "`input_images_total`. `gpu_*` exist on a machine with an NVIDIA GPU where the group `gpu` "
        "is installed. `process_*` and `python_*` come from Prometheus' client library; with "
        "several workers each process has its `process_*` series, labelled `worker` (0, 1, ... or "
        "`supervisor`).",
        "[The runbook](../how-to/runbook.md) has a section for each alert on these metrics, and "
        "[Dashboards](../how-to/dashboards.md) shows them.",
        contents=False,
    )


def _labels(names: tuple[str, ...]) -> str:
    return f"{{{','.join(names)}}}" if names else ""


def problems() -> str:
    """Every type of problem that an error may carry, with a heading each."""
    parts = [
        "Errors of `/v1` are problem documents "
        "([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) of the media type "
        "`application/problem+json`. `type` is `/problems/<code>`: a path at the service that "
        "answered, which serves the same text as this page, so that the description fits the "
        "version of the service and needs no other host. Programs compare `type`; `detail` is for "
        "people. The headings below are the codes.",
        table(
            ["status", "code", "title"],
            [
                (str(kind.status), f"[{code(kind.code)}](#{kind.code})", prose(kind.title))
                for kind in sorted(TYPES.values(), key=lambda kind: (kind.status, kind.code))
            ],
        ),
    ]
    for subject in SUBJECTS:
        kinds = [each for each in vars(subject).values() if isinstance(each, ProblemType)]
        parts.append(f"## {(subject.__doc__ or '').partition(':')[0]}")
        parts += map(_problem, sorted(kinds, key=lambda kind: (kind.status, kind.code)))
    return page("Problem types", *parts)


def _problem(kind: ProblemType) -> str:
    names = [name.removeprefix(PREFIX) for name in kind.settings]
    links = ", ".join(f"[{code(name)}](settings.md#{name.lower()})" for name in names)
    lines = [
        f"### {code(kind.code)} {{ #{kind.code} }}",
        f"**{kind.status} {prose(kind.title)}.** {prose(kind.meaning)}",
        f"{prose(kind.remedy)}",
        "The same request may succeed later." if kind.retry else "",
        f"Bounded by {links}." if links else "",
    ]
    return "\n\n".join(filter(None, lines))


def recipe() -> str:
    """Every option of a recipe, and the presets."""
    options = fields(Recipe)
    chosen = [each.name for each in options if any(each.name in of for of in PRESETS.values())]
    defaults = {each.name: each.default for each in options}
    return page(
        "Recipe options and presets",
        "A recipe is all that determines a training but the data. Each option is a flag of "
        "`python -m training`, a key of a `--recipe FILE.toml` (`learning_rate = 0.01`) and an "
        "argument of `MNISTClassifier` in Python. The defaults are those for MNIST; a data set may "
        "bring its own. Where there is no default, the meaning says what it depends on.",
        "## Options",
        table(
            ["option", "default", "values", "meaning"],
            [
                (
                    anchored(each.name, code(flag(each.name))),
                    code("" if each.default is None else each.default),
                    _values(each.metadata),
                    sentence(each.metadata["meaning"]) + _needed(each.name),
                )
                for each in options
            ],
        ),
        "## Presets",
        "`--preset NAME` sets these options; flags override it. `default` changes nothing.",
        table(
            ["option", *map(code, PRESETS)],
            [
                (
                    code(flag(name)),
                    *(code(of.get(name, defaults[name])) for of in PRESETS.values()),
                )
                for name in chosen
            ],
        ),
    )


def _values(metadata: Any) -> str:
    if "choices" in metadata:
        return ", ".join(map(code, metadata["choices"]))
    if "bounds" in metadata:
        low, high, _ = metadata["bounds"]
        return f"{low:,} to {high:,}"
    return "yes or no" if "switch" in metadata else ""


def _needed(name: str) -> str:
    """What an option needs in order to have an effect."""
    return "".join(
        f" Only with {code(' '.join((flag(other), ' or '.join(values))).rstrip())}."
        for other, values in USED_WITH.get(name, {}).items()
    )
