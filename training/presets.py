"""Ways of working: recipes with a name."""

from typing import Any

# What differs from the default.
PRESETS: dict[str, dict[str, Any]] = {
    # For a first look: 99.5 % in half a minute of CPU time.
    "quick": {
        "epochs": 3,
        "rotation": 0.0,
        "scale": 0.0,
        "shear": 0.0,
        "shift": 1.0,
        "spoiled": 0.0,
        "plain_epochs": 1,
    },
    "default": {},
    # For the last tenth of a percent: an hour and a half of CPU time, half of it for the teachers.
    "best": {
        "network": "deep",
        "epochs": 50,
        "teachers": 4,
        "teacher_network": "deep",
        "teacher_width": 1.5,
        "teacher_epochs": 20,
        "rotation": 12.0,
        "scale": 0.12,
        "aspect": 0.1,
        "shear": 0.15,
        "shift": 2.0,
        "elastic": 0.4,
        "spoiled": 0.03,
    },
}
