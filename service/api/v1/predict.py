"""POST /v1/predict: images in the body, a prediction for each in the response.

    one image file --decode, prepare--+
                                      +--> (n, *shape) --batcher--> BatchPredictions --> JSON
    multipart, JSON --bodies, images--+

How images are prepared is the served model's. Where it is that of digits, images that look like
MNIST need no preparation, and all that came in a turn of the event loop are decoded together.

`content_types` decides which of them a body is. FastAPI's machinery around one request costs more
than the prediction, so this route is served before it, see `http/exchange`, and described to it by
`fast_docs`. Raises what `http/errors` turns into problems.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from itertools import compress
from time import perf_counter

import numpy as np

from contract.card import SIDE
from preprocessing.decoder import Raster, small_png
from preprocessing.digits.normalize import are_normalized
from preprocessing.preparation import Preparer
from service.api.options import DEFAULT_OPTIONS, Options, options_for
from service.api.params import check_images
from service.api.v1.bodies import Form, ImageFile
from service.api.v1.content_types import IMAGE_TYPES, check_head, form_of
from service.api.v1.images import pixels_of, prepared, preview_urls_of
from service.api.v1.pending import Predictor, PreviewUrls, Together
from service.batching.interface import DeadlinePassed
from service.errors import Problem
from service.http.exchange import TIMEOUT, Begin, Endpoint, Exchange
from service.http.offload import SMALL, Offload, Slices, whole
from service.problem_types.content import EMPTY_BODY
from service.settings import Settings
from service.tensors import Pixels

SHORT = 2**13  # bytes of a form that is read in well under a millisecond
SHEET = SIDE, SIDE
READING = 4  # times the bytes of a form that reading it takes


class Predict(Endpoint):
    route = "/v1/predict"
    method = "POST"

    def __init__(self, predictor: Predictor, offload: Offload, settings: Settings) -> None:
        self._model, self._admit, self._submit, self._together = predictor
        self._settings = settings
        self._max_pixels = settings.max_pixels
        # Those since the last turn of the event loop, and how many there may be without `admit`.
        self._plain: list[Exchange] = []
        self._room = 0
        self._offload = offload

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises Problem 415 unless the body may hold images."""
        check_head(headers)

    def begin_of(self, headers: Mapping[bytes, bytes], query: bytes) -> Begin:
        plain = headers.get(b"content-type", b"") in IMAGE_TYPES and not query
        if plain and TIMEOUT not in headers and self._together is not None:
            return partial(self._begin_plain, self._together)
        return self.begin

    def begin(self, exchange: Exchange) -> None:
        if not exchange.body:
            raise Problem(EMPTY_BODY, "the body is empty; send an image file as the request's body")
        model = self._model()
        options = options_for(model, exchange.query) if exchange.query else DEFAULT_OPTIONS
        prepare = model.prepare
        content_type = exchange.headers.get(b"content-type", b"")
        if content_type not in IMAGE_TYPES:  # as nearly all are written
            form = form_of(content_type, exchange.body)
            if form is not None:
                self._begin_form(exchange, options, prepare, form)
                return
        began = perf_counter()
        # Before decoding, which costs 10 us. The plain ones will be in the queue shortly.
        self._admit(1 + len(self._plain), began, exchange.deadline)
        raster = small_png(exchange.body, self._max_pixels)
        if raster is None:
            sent = [ImageFile("", exchange.body)]
            self._prepare_files(exchange, options, prepare, lambda: sent, 0)
        elif _is_quick(options) and (pixels := _at_once(raster, prepare)) is not None:
            self._submit_at_once(exchange, options, pixels, prepare, began)
        else:
            self._prepare_raster(exchange, options, prepare, raster)

    def _begin_plain(self, together: Together, exchange: Exchange) -> None:
        """`begin`, together with others of this turn of the event loop."""
        plain = self._plain
        if not plain:
            self._room = together.room()
        if len(plain) >= self._room:
            self._admit(1 + len(plain), exchange.began, exchange.deadline)
        if not plain:  # after the turn, or once they are a batch
            asyncio.get_running_loop().call_soon(self._submit_plain, together)
        plain.append(exchange)
        if len(plain) >= together.max_batch():
            self._submit_plain(together)

    def _submit_plain(self, together: Together) -> None:
        """Decode and submit the images of the plain requests that came in this turn.

        Work common to all is done once, which takes a fifth of the time.
        """
        waiting, self._plain = self._plain, []
        prepare = self._model().prepare
        if not prepare.is_for_digits:
            for exchange in waiting:
                self._begin_alone(exchange)
            return
        plain, rasters, decoded = self._decoded(waiting, prepare)
        if not plain:
            return
        try:
            pixels = np.concatenate(rasters).reshape(-1, *SHEET)
            alike = are_normalized(pixels)
            if not all(alike):
                for exchange, raster, is_mnist in zip(plain, rasters, alike, strict=True):
                    if not is_mnist:
                        self._prepare_alone(exchange, prepare, raster)
                plain, pixels = [*compress(plain, alike)], pixels[alike]
            if plain:
                together.submit(plain, pixels, prepare, decoded, self._begin_again)
        except Exception as error:  # there is no memory
            for exchange in plain:
                if exchange.cancel_work is None:  # nobody works for it
                    exchange.fail(error)

    def _decoded(
        self, waiting: list[Exchange], prepare: Preparer
    ) -> tuple[list[Exchange], list[Raster], float]:
        """Those with an image of 28x28, these images, and the mean time of decoding one (s)."""
        plain: list[Exchange] = []
        rasters: list[Raster] = []
        began, others, tried = perf_counter(), 0.0, 0
        for exchange in waiting:
            if exchange.over:  # the client is gone
                continue
            tried += 1
            try:
                raster = small_png(exchange.body, self._max_pixels)
            except Exception as error:  # of this image
                exchange.fail(error)
                continue
            if raster is not None and raster.shape == SHEET:
                plain.append(exchange)
                rasters.append(raster)
                continue
            now = perf_counter()
            if raster is None:
                self._begin_alone(exchange)
            else:
                self._prepare_alone(exchange, prepare, raster)
            others += perf_counter() - now
        return plain, rasters, (perf_counter() - began - others) / max(1, tried)

    def _begin_alone(self, exchange: Exchange) -> None:
        if exchange.over:  # the client is gone
            return
        try:
            self.begin(exchange)
        except Exception as error:
            exchange.fail(error)

    def _begin_again(self, exchange: Exchange) -> None:
        """With the model that serves now and takes images of another kind; until the deadline."""
        exchange.cancel_work = None
        if exchange.deadline <= perf_counter():
            exchange.fail(DeadlinePassed("the deadline passed while the model was replaced"))
        else:
            self._begin_alone(exchange)

    def _submit_at_once(
        self, exchange: Exchange, options: Options, pixels: Pixels, prepare: Preparer, began: float
    ) -> None:
        decoded = perf_counter() - began
        self._submit(exchange, options, pixels, prepare, decoded, None, self._begin_again)

    def _prepare_alone(self, exchange: Exchange, prepare: Preparer, raster: Raster) -> None:
        try:
            self._prepare_raster(exchange, DEFAULT_OPTIONS, prepare, raster)
        except Exception as error:
            exchange.fail(error)

    def _begin_form(
        self, exchange: Exchange, options: Options, prepare: Preparer, form: Form
    ) -> None:
        began, settings, body = perf_counter(), self._settings, exchange.body
        kind, model = exchange.headers[b"content-type"], self._model()

        def read() -> list[ImageFile]:
            sent = form(body, kind, settings)
            check_images(len(sent), settings, model)
            return sent

        if len(body) > SHORT:
            reading = READING * len(body)
            self._prepare_files(exchange, options, prepare, read, reading)
            return
        sent = read()
        self._admit(len(sent), began, exchange.deadline)
        quick = prepare.is_for_digits and _is_quick(options)
        pixels = prepared(sent, settings.max_pixels) if quick else None
        if pixels is None:
            self._prepare_files(exchange, options, prepare, lambda: sent, 0)
        else:
            self._submit_at_once(exchange, options, pixels, prepare, began)

    def _prepare_files(
        self,
        exchange: Exchange,
        options: Options,
        prepare: Preparer,
        read: Callable[[], list[ImageFile]],
        reading: int,
    ) -> None:
        pixels = pixels_of(read, reading, prepare, options.ink, self._settings)
        self._prepare(exchange, options, prepare, pixels)

    def _prepare_raster(
        self, exchange: Exchange, options: Options, prepare: Preparer, raster: Raster
    ) -> None:
        """Of a decoded image: this takes a millisecond, too long for the event loop."""
        pixels = whole(SMALL, lambda: prepare(raster, options.ink)[np.newaxis])
        self._prepare(exchange, options, prepare, pixels)

    def _prepare(
        self, exchange: Exchange, options: Options, prepare: Preparer, pixels: Slices[Pixels]
    ) -> None:
        def slices() -> Slices[tuple[Pixels, PreviewUrls]]:
            found = yield from pixels
            return found, preview_urls_of(found) if options.debug is not None else None

        def then(made: tuple[Pixels, PreviewUrls], seconds: float) -> None:
            found, preview_urls = made
            self._submit(
                exchange, options, found, prepare, seconds, preview_urls, self._begin_again
            )

        self._offload.do(exchange, slices(), then)


def _is_quick(options: Options) -> bool:
    """Whether an image that looks like MNIST needs no further work."""
    return options.ink == "auto" and options.debug is None


def _at_once(raster: Raster, prepare: Preparer) -> Pixels | None:
    """Pixels (1, *shape) of a small image that needs microseconds; None for any other."""
    if not prepare.is_for_digits:
        fits = raster.shape[:2] == prepare.shape[:2]
        return prepare(raster)[np.newaxis] if fits else None
    if raster.shape == SHEET and all(are_normalized(raster[np.newaxis])):
        return raster[np.newaxis]
    return None
