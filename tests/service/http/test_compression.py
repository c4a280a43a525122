"""Compression of requests and responses, with Triton's clients, and its limits."""

import gzip
import resource
import zlib
from collections.abc import Iterator
from time import thread_time

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio
from numpy.typing import NDArray

from contract.store import Store
from contract.version import Version
from service.errors import Problem
from service.http.compression import accepted, compressed, decompressed
from service.tensors import Pixels
from tests.support import fetch
from tests.support.running import Service
from tests.support.tensors import BLOB, HEADER, client_of, document, inputs_of, post

HEAD = document()
WHOLE = HEAD + BLOB
LIMIT = 100_000  # bytes


@pytest.fixture(scope="module")
def small(published: tuple[Store, Version]) -> Iterator[Service]:
    """A service that accepts at most LIMIT bytes."""
    with Service.started(published[0].folder.parent, max_body=LIMIT) as service:
        yield service


@pytest.mark.parametrize("count", [1, 200], ids=["one image", "200 images"])
@pytest.mark.parametrize("binary", [True, False], ids=["bytes", "JSON"])
@pytest.mark.parametrize("there", ["gzip", "deflate", None])
@pytest.mark.parametrize("back", ["gzip", "deflate", None])
def test_the_client_compresses_and_decompresses(
    client: triton.InferenceServerClient,
    pixels: Pixels,
    logits: NDArray[np.float32],
    count: int,
    binary: bool,
    there: str | None,
    back: str | None,
) -> None:
    result = client.infer(
        "digits",
        inputs_of(pixels[:count], binary=binary),
        outputs=[triton.InferRequestedOutput("logits", binary_data=binary)],
        request_compression_algorithm=there,
        response_compression_algorithm=back,
    )
    np.testing.assert_allclose(result.as_numpy("logits"), logits[:count], atol=1e-3)


@pytest.mark.anyio
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_the_asynchronous_client_compresses_and_decompresses(
    service: Service, pixels: Pixels, logits: NDArray[np.float32], coding: str
) -> None:
    url = service.url.removeprefix("http://")
    async with tritonclient.http.aio.InferenceServerClient(url) as client:
        result = await client.infer(
            "digits",
            inputs_of(pixels[:5]),
            request_compression_algorithm=coding,
            response_compression_algorithm=coding,
        )
    np.testing.assert_allclose(result.as_numpy("logits"), logits[:5], atol=1e-3)


@pytest.mark.parametrize(
    ("coding", "decompress"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)]
)
def test_the_header_length_is_of_the_uncompressed_content(
    service: Service, coding: str, decompress: object
) -> None:
    head = document(parameters={"binary_data_output": True})
    with fetch.stream(
        "POST",
        f"{service.url}/v2/models/digits/infer",
        content=head + BLOB,
        headers={HEADER: str(len(head)), "Accept-Encoding": coding},
    ) as response:
        raw = b"".join(response.iter_raw())
    assert callable(decompress)
    content = decompress(raw)
    assert response.headers["Content-Encoding"] == coding
    assert response.headers["Vary"] == "accept-encoding"
    assert int(response.headers["Content-Length"]) == len(raw)
    assert content[int(response.headers[HEADER]) - 1 :][:1] == b"}"
    assert len(content) == int(response.headers[HEADER]) + 80


@pytest.mark.parametrize(
    ("given", "coding"),
    [
        (b"gzip", "gzip"),
        (b"deflate", "deflate"),
        (b"deflate, gzip", "gzip"),
        (b"GZIP;q=0.5, deflate;q=0.7", "deflate"),
        (b"gzip;q=0, deflate", "deflate"),
        (b"gzip; q=0", None),
        (b"identity, gzip;q=0.5", None),
        (b"identity;q=0.1, gzip;q=0.5", "gzip"),
        (b"br, zstd", None),
        (b"*", None),
        (b"*;q=0.1, gzip", "gzip"),
        (b"", None),
        (b"gzip;q=nan", None),
        (b"gzip;q=much", None),
        (b"gzip," * 10_000, None),
        (None, None),
    ],
)
def test_the_weights_of_accept_encoding_are_respected(
    given: bytes | None, coding: str | None
) -> None:
    assert accepted({} if given is None else {b"accept-encoding": given}) == coding


@pytest.mark.parametrize(
    ("body", "coding", "status", "message"),
    [
        (WHOLE, "gzip", 400, "the body is not gzip"),
        (zlib.compress(WHOLE), "gzip", 400, "the body is not gzip"),
        (gzip.compress(WHOLE), "deflate", 400, "the body is not deflate"),
        (zlib.compress(WHOLE, wbits=-15), "deflate", 400, "the body is not deflate"),
        (gzip.compress(WHOLE)[:-1], "gzip", 400, "ends before its gzip stream does"),
        (b"", "gzip", 400, "ends before its gzip stream does"),
        (gzip.compress(WHOLE)[:-5] + b"\0\0\0\0\0", "gzip", 400, "the body is not gzip"),
        (gzip.compress(WHOLE) + b"x", "gzip", 400, "1 bytes follow"),
        (gzip.compress(WHOLE) * 2, "gzip", 400, "follow the body's gzip stream"),
        (gzip.compress(HEAD), "gzip", 400, "0 came"),
        (gzip.compress(bytes(LIMIT + 1)), "gzip", 413, "DIGITSERVE_MAX_BODY"),
        (zlib.compress(bytes(LIMIT + 1)), "deflate", 413, "DIGITSERVE_MAX_BODY"),
        (WHOLE, "br", 415, "gzip and deflate are understood"),
        (WHOLE, "gzip, gzip", 415, "gzip and deflate are understood"),
    ],
)
def test_an_incomplete_or_invalid_stream_is_rejected(
    small: Service, body: bytes, coding: str, status: int, message: str
) -> None:
    response = post(small, body, Content_Encoding=coding, **{HEADER: len(HEAD)})
    assert (response.status_code, list(response.json())) == (status, ["error"])
    assert message in response.json()["error"]
    if status == 415:
        assert response.headers["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize("coding", ["identity", "x-gzip", "GZip"])
def test_aliases_of_codings_are_accepted(small: Service, coding: str) -> None:
    body = WHOLE if coding == "identity" else gzip.compress(WHOLE)
    response = post(small, body, Content_Encoding=coding, **{HEADER: len(HEAD)})
    assert response.status_code == 200


def test_errors_are_not_compressed(small: Service) -> None:
    response = post(small, b"nonsense", Accept_Encoding="gzip")
    assert "Content-Encoding" not in response.headers


def test_a_decompression_bomb_is_stopped_at_the_limit_of_a_body() -> None:
    """A factor of a thousand: 300 kB that would become 300 MB."""
    bomb = compressed(bytes(300 * 2**20), "gzip")
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, thread_time()
    with pytest.raises(Problem, match="larger than 1,000,000 bytes when decompressed"):
        decompressed(bomb, "gzip", 1_000_000)
    assert thread_time() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 2**10  # KiB


def test_content_of_exactly_the_limit_is_accepted() -> None:
    assert decompressed(compressed(bytes(1000), "deflate"), "deflate", 1000) == bytes(1000)


def test_other_clients_are_answered_while_a_large_body_is_decompressed(
    service: Service, pixels: Pixels
) -> None:
    bomb = gzip.compress(bytes(64 * 2**20), 1)
    with client_of(service, concurrency=8) as client:
        slow = [client.async_infer("digits", inputs_of(pixels[:1])) for _ in range(8)]
        assert post(service, bomb, Content_Encoding="gzip").status_code == 413
        assert all(handle.get_result() for handle in slow)
