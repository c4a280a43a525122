"""What Schemathesis cannot generate: image files, and texts that contain one.

Loaded by Schemathesis, see `fuzz`. Images that no schema can describe, such as damaged and blank
ones, are in `tests/service/http/test_bad_input.py`.
"""

import os
from base64 import b64encode
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tests.support.pictures import encoded, seven

VERSION = os.environ["FUZZED_VERSION"]  # the version that serves
FORMATS = {
    f"image/{kind}": [encoded(seven(side=side), kind) for side in (28, 60, 200)]
    for kind in ("png", "jpeg", "webp", "bmp", "gif", "tiff")
}
IMAGES = st.sampled_from([body for bodies in FORMATS.values() for body in bodies])

for media_type, bodies in FORMATS.items():
    schemathesis.openapi.media_type(media_type, st.sampled_from(bodies))
schemathesis.openapi.media_type("application/octet-stream", IMAGES)
schemathesis.openapi.format("binary", IMAGES)
schemathesis.openapi.format("byte", IMAGES.map(lambda body: b64encode(body).decode()))


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Any, kwargs: dict[str, Any]) -> None:
    """Send as many numbers as the shape requires, and existing versions and files."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if "version" in case.path_parameters:
        case.path_parameters["version"] = VERSION
    if "file" in case.path_parameters:
        case.path_parameters["file"] = "samples.json"
    if case.path.endswith("/infer") and isinstance(case.body, dict):
        sound = {"name": "pixels", "shape": [1, 28, 28], "datatype": "UINT8", "data": [0] * 784}
        case.body["inputs"] = [sound]
