"""What Schemathesis cannot make up: picture files, and texts that carry one.

Loaded by it, see `fuzz`. Pictures that no schema can describe, the damaged and the blank, are in
`tests/service/test_bad_input.py`.
"""

from base64 import b64encode

import schemathesis
from hypothesis import strategies as st

from tests.service.pictures import encoded, seven

FORMATS = {
    f"image/{kind}": [encoded(seven(side=side), kind) for side in (28, 60, 200)]
    for kind in ("png", "jpeg", "webp", "bmp", "gif", "tiff")
}
PICTURES = st.sampled_from([body for bodies in FORMATS.values() for body in bodies])

for media_type, bodies in FORMATS.items():
    schemathesis.openapi.media_type(media_type, st.sampled_from(bodies))
schemathesis.openapi.media_type("application/octet-stream", PICTURES)
schemathesis.openapi.format("binary", PICTURES)
schemathesis.openapi.format("byte", PICTURES.map(lambda body: b64encode(body).decode()))
