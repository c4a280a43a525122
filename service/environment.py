"""The environment beside the settings: what of it is misspelt, and what may be in it."""

from collections.abc import Mapping
from difflib import get_close_matches

from service.settings import PREFIX, Settings

OF_OTHERS = {"DIGITSERVE_SIGNING_KEY"}  # what export reads


def unknown_settings(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each DIGITSERVE_ variable that is no setting, most likely misspelt."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    sentences = []
    for name in environment:
        if name.startswith(PREFIX) and name not in (*known, *OF_OTHERS):
            near = get_close_matches(name, known, n=1)
            hint = f", did you mean {near[0]}?" if near else ""
            sentences.append(f"{name} is no setting{hint}")
    return sentences


def help_text() -> str:
    """A line a setting: name, default, meaning."""
    lines = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        lines.append(f"  {PREFIX + name.upper():27} {default!s:>10}   {field.description or ''}")
    return "\n".join(lines)
