"""The options of a prediction, in the query of its URL: ?top_k=3&ink=on&threshold=0.9"""

from functools import lru_cache
from typing import Annotated, Final, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from preprocessing.digits.normalize import InkMode
from service.errors import Problem
from service.http.json_body import fitted
from service.problem_types.prediction import BAD_OPTION


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # SkipJsonSchema: a parameter that is left out is not null.
    top_k: Annotated[int, Field(ge=1, le=1000)] | SkipJsonSchema[None] = Field(
        default=None,
        description="Name that many of the likeliest classes, each with its confidence, in `top_k` "
        "(all, if there are fewer).",
        examples=[3],
    )
    ink: InkMode = Field(
        default="auto",
        description="How a picture becomes 28x28 pixels of white ink on black. `auto`: found, cut "
        "out, scaled and centred, unless it looks like MNIST already; `on`: always so; `off`: only "
        "converted to grayscale and resized, for callers that preprocess themselves.",
    )
    threshold: Annotated[float, Field(ge=0, le=1)] | SkipJsonSchema[None] = Field(
        default=None,
        description="A prediction whose confidence is below this carries `uncertain: true`. "
        "Without it: the threshold on the model's card, above which 99.9 % of the validation "
        "images are classified correctly.",
        examples=[0.9],
    )
    debug: Literal["ink"] | SkipJsonSchema[None] = Field(
        default=None,
        description="`ink`: each prediction also carries `ink`, the 28x28 pixels that the network "
        "really saw, 0 = paper, 255 = ink, as a data URL of a PNG. For pages, and to find out why "
        "an image was misread; it takes longer.",
        examples=["ink"],
    )


DEFAULT_OPTIONS: Final = Options()


@lru_cache(128)
def options_of(query: bytes) -> Options:
    """Problem 400 if one is unknown, given twice or out of its bounds."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, max_num_fields=16, errors="strict"
        )
    except ValueError as error:  # of which UnicodeDecodeError is one
        raise Problem(BAD_OPTION, "the query of the URL cannot be read") from error
    names = [name for name, _ in pairs]
    for name in names:
        if name not in Options.model_fields:
            known = ", ".join(Options.model_fields)
            raise Problem(
                BAD_OPTION, f"the query parameter {name[:64]!r} is unknown; there are {known}"
            )
        if names.count(name) > 1:
            raise Problem(
                BAD_OPTION, f"the query parameter {name!r} came {names.count(name)} times"
            )
    return fitted(Options, dict(pairs), "the query", BAD_OPTION)
