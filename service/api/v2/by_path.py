"""Inference by a path other than the fast endpoint's: with a version, or with an unknown model.

    /v2/models/{model}/infer, /v2/models/{model}/versions/{version}/infer --> Infer, or 404

A version is answered while it serves. If another one replaces it between a request and its batch,
the request is refused too: no response comes from a version that was not requested.
"""

from collections.abc import Mapping

from service.api.params import ModelLookup
from service.api.v2.infer import Infer
from service.http.exchange import Exchange

PATH = "/v2/models/{model}/infer"
VERSION_PATH = "/v2/models/{model}/versions/{version}/infer"


class InferByPath:
    """An endpoint for one request."""

    method = "POST"

    def __init__(
        self, infer: Infer, lookup: ModelLookup, model: str, version: str | None = None
    ) -> None:
        self.route = PATH if version is None else VERSION_PATH
        self._infer = infer
        self._lookup = lookup
        self._named = model, version

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        self._lookup.model(*self._named)
        self._infer.admit(headers)

    def begin(self, exchange: Exchange) -> None:
        self._infer.begin_for(exchange, self._lookup.model(*self._named).number)
