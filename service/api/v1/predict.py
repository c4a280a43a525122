"""POST /v1/predict: images in the body, a prediction for each in the response.

    one image file --decode, ink--------+
                                        +--> (n, 28, 28) --batcher--> BatchPredictions --> JSON
    multipart, JSON --bodies, pictures--+

`content_types` decides which of them a body is. FastAPI's machinery around one request costs more
than the prediction, so this route is served before it, see `http/exchange`, and described to it by
`fast_docs`. Raises what `http/errors` turns into problems.
"""

import asyncio
from collections.abc import Callable, Mapping
from time import perf_counter

import numpy as np

from contract.card import SIDE
from preprocessing.decoder import Raster, small_png
from preprocessing.digits.normalize import are_normalized, normalize_digit
from service.api.options import DEFAULT_OPTIONS, Options, options_of
from service.api.v1.bodies import Form, ImageFile
from service.api.v1.content_types import PICTURES, check_type, form_of
from service.api.v1.pending import Predictor, PreviewUrls
from service.api.v1.pictures import pixels_of, prepared, preview_urls_of
from service.errors import Problem
from service.http.exchange import Exchange
from service.http.offload import SMALL, Offload, Slices, whole
from service.problem_types.content import EMPTY_BODY, UNSUPPORTED_ENCODING
from service.settings import Settings
from service.tensors import Pixels

SHORT = 2**13  # bytes of a form that is read in well under a millisecond
READING = 4  # times the bytes of a form that reading it takes


class Predict:
    route = "/v1/predict"
    method = "POST"

    def __init__(self, predictor: Predictor, offload: Offload, settings: Settings) -> None:
        self._admit, self._submit = predictor
        self._settings = settings
        # Pictures of 28x28 since the last turn of the event loop, and the seconds each took.
        self._sheets: list[tuple[Exchange, Options, Raster, float]] = []
        self._offload = offload

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises Problem 415 unless the body may hold images."""
        content_type = headers.get(b"content-type", b"")
        if content_type not in PICTURES:
            check_type(content_type)
        if b"content-encoding" in headers and headers[b"content-encoding"] != b"identity":
            raise Problem(
                UNSUPPORTED_ENCODING,
                "compressed bodies are not taken here: picture files are compressed already",
                headers={"accept-encoding": "identity"},
            )

    def begin(self, exchange: Exchange) -> None:
        if not exchange.body:
            raise Problem(
                EMPTY_BODY, "the body is empty; send a picture file as the request's body"
            )
        options = options_of(exchange.query) if exchange.query else DEFAULT_OPTIONS
        content_type = exchange.headers.get(b"content-type", b"")
        if content_type not in PICTURES:  # as nearly all are written
            form = form_of(content_type, exchange.body)
            if form is not None:
                self._begin_form(exchange, options, form)
                return
        began = perf_counter()
        # Before decoding, which costs 10 us. The sheets will be in the queue shortly.
        self._admit(1 + len(self._sheets), began, exchange.deadline)
        raster = small_png(exchange.body, self._settings.max_pixels)
        if raster is None:
            sent = [ImageFile("", exchange.body)]
            self._prepare_files(exchange, options, lambda: sent, 0)
        elif raster.shape == (SIDE, SIDE) and (options is DEFAULT_OPTIONS or _is_quick(options)):
            self._sheets.append((exchange, options, raster, perf_counter() - began))
            if len(self._sheets) == 1:
                asyncio.get_running_loop().call_soon(self._submit_sheets)
        else:
            self._prepare_raster(exchange, options, raster)

    def _begin_form(self, exchange: Exchange, options: Options, form: Form) -> None:
        began, settings, body = perf_counter(), self._settings, exchange.body
        kind = exchange.headers[b"content-type"]
        if len(body) > SHORT:
            reading = READING * len(body)
            self._prepare_files(exchange, options, lambda: form(body, kind, settings), reading)
            return
        sent = form(body, kind, settings)
        self._admit(len(sent), began, exchange.deadline)
        pixels = prepared(sent, settings.max_pixels) if _is_quick(options) else None
        if pixels is None:
            self._prepare_files(exchange, options, lambda: sent, 0)
        else:
            self._submit(exchange, options, pixels, perf_counter() - began, None)

    def _prepare_files(
        self,
        exchange: Exchange,
        options: Options,
        read: Callable[[], list[ImageFile]],
        reading: int,
    ) -> None:
        pixels = pixels_of(read, reading, options.ink, self._settings)
        self._prepare(exchange, options, pixels)

    def _prepare_raster(self, exchange: Exchange, options: Options, raster: Raster) -> None:
        """Of a decoded image: this takes a millisecond, too long for the event loop."""
        pixels = whole(SMALL, lambda: normalize_digit(raster, options.ink)[np.newaxis])
        self._prepare(exchange, options, pixels)

    def _prepare(self, exchange: Exchange, options: Options, pixels: Slices[Pixels]) -> None:
        def slices() -> Slices[tuple[Pixels, PreviewUrls]]:
            found = yield from pixels
            return found, preview_urls_of(found) if options.debug == "ink" else None

        def then(made: tuple[Pixels, PreviewUrls], seconds: float) -> None:
            found, preview_urls = made
            self._submit(exchange, options, found, seconds, preview_urls)

        self._offload.do(exchange, slices(), then)

    def _submit_sheets(self) -> None:
        """Submit all images of 28x28 that came in this turn of the event loop.

        Whether they look like MNIST is computed for all at once: a fifth of the cost.
        """
        sheets, self._sheets = self._sheets, []
        alike = are_normalized(np.stack([raster for _, _, raster, _ in sheets])).tolist()
        for (exchange, options, raster, decoded), is_mnist in zip(sheets, alike, strict=True):
            if exchange.over:  # the client is gone
                continue
            try:
                if is_mnist:
                    self._submit(exchange, options, raster[np.newaxis], decoded, None)
                else:
                    self._prepare_raster(exchange, options, raster)
            except Exception as error:  # of this picture
                exchange.fail(error)


def _is_quick(options: Options) -> bool:
    """Whether an image that looks like MNIST needs no further work."""
    return options.ink == "auto" and options.debug is None
