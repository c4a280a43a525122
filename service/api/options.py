"""The options of a prediction, in the query of its URL: ?top_k=3&ink=on&threshold=0.9"""

from functools import lru_cache
from typing import Annotated, Final, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from preprocessing.digits.normalize import InkMode
from service.errors import Problem
from service.http.json_body import Document, fitted
from service.models.loading import Model
from service.problem_types.prediction import BAD_OPTION


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # SkipJsonSchema: a parameter that is left out is not null.
    top_k: Annotated[int, Field(ge=1, le=1000)] | SkipJsonSchema[None] = Field(
        default=None,
        description="Name that many of the likeliest classes, each with its confidence, in `top_k` "
        "(all, if there are fewer). Without it: 5 where the model has more than 20 labels, none "
        "otherwise.",
        examples=[3],
    )
    ink: InkMode = Field(
        default="auto",
        description="For models of digits only: how an image becomes 28x28 pixels of white ink on "
        "black. `auto`: found, cut out, scaled and centred, unless it looks like MNIST already; "
        "`on`: always so; `off`: only converted to grayscale and resized, for callers that "
        "preprocess themselves.",
    )
    threshold: Annotated[float, Field(ge=0, le=1)] | SkipJsonSchema[None] = Field(
        default=None,
        description="A prediction whose confidence is below this carries `uncertain: true` and a "
        "`reason`. Without it: the threshold on the model's card, above which 99.9 % of the "
        "validation images are classified correctly.",
        examples=[0.9],
    )
    debug: Literal["pixels", "ink"] | SkipJsonSchema[None] = Field(
        default=None,
        description="`pixels`: each prediction also carries `pixels`, what the network really saw, "
        "as a data URL of a PNG. For pages, and to find out why an image was misread; it takes "
        "longer. `ink`: the same under the name `ink`, for models of digits only.",
        examples=["pixels"],
    )

    @property
    def are_for_digits(self) -> bool:
        """Whether they ask for what only the preparation of digits can do."""
        return "ink" in self.model_fields_set or self.debug == "ink"


DEFAULT_OPTIONS: Final = Options()


def options_for(model: Model, query: bytes) -> Options:
    """Problem 400 if one is unknown, given twice, out of its bounds, or not for this model."""
    options = options_of(query)
    preparation = model.card.preparation.kind
    if options.are_for_digits and preparation != "digit":
        raise Problem(
            BAD_OPTION,
            f"`ink` and `debug=ink` are for models of digits; version {model.number} of "
            f"{model.card.name} serves, whose preparation is {preparation!r}: leave `ink` out, and "
            "send `debug=pixels` for what the network sees",
        )
    return options


@lru_cache(128)
def options_of(query: bytes) -> Options:
    """Problem 400 if one is unknown, given twice or out of its bounds."""
    return options_as(Options, query)


def options_as(kind: type[Document], query: bytes) -> Document:
    """The query of a URL as that model, with the same problems."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, max_num_fields=16, errors="strict"
        )
    except ValueError as error:  # of which UnicodeDecodeError is one
        raise Problem(BAD_OPTION, "the query of the URL cannot be read") from error
    names = [name for name, _ in pairs]
    for name in names:
        if name not in kind.model_fields:
            known = ", ".join(kind.model_fields)
            raise Problem(
                BAD_OPTION, f"the query parameter {name[:64]!r} is unknown; there are {known}"
            )
        if names.count(name) > 1:
            raise Problem(
                BAD_OPTION, f"the query parameter {name!r} came {names.count(name)} times"
            )
    return fitted(kind, dict(pairs), "the query", BAD_OPTION)
