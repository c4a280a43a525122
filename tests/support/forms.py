"""Images in multipart/form-data, encoded by hand."""

import httpx2

from tests.support.running import Service

MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}


def part(content: bytes, disposition: str = 'form-data; name="image"; filename="a.png"') -> bytes:
    return b"--x\r\nContent-Disposition: %b\r\n\r\n%b\r\n" % (disposition.encode(), content)


def post_parts(service: Service, *parts: bytes, end: bytes = b"--x--\r\n") -> httpx2.Response:
    with service.client(headers=MULTIPART) as client:
        return client.post("/v1/predict", content=b"".join(parts) + end)
