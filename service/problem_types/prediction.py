"""Predictions: options, images, tensors and deadlines."""

from service.errors import ProblemType

BAD_OPTION = ProblemType(
    "bad-option",
    400,
    "Bad option",
    "An option in the URL's query is unknown, given twice, out of its bounds, or not for the model "
    "that serves; `detail` names it.",
    "Correct the option. The documentation of the API lists all: `ink`, `top_k`, `threshold`, "
    "`debug`.",
)
BAD_TIMEOUT = ProblemType(
    "bad-timeout",
    400,
    "Bad timeout",
    "The header `X-Request-Timeout` is not a number of seconds that a request can take.",
    "Send a number of seconds such as `0.5`, without a unit, or leave the header out.",
)
BATCH_TOO_LARGE = ProblemType(
    "batch-too-large",
    400,
    "Too many images in a tensor",
    "The input tensor has more images than one request may have; under `/v2` this is 400, as the "
    "Open Inference Protocol's other servers answer.",
    "Spread the images over several requests; the service batches them by itself.",
    ("DIGITSERVE_MAX_PICTURES", "DIGITSERVE_MAX_QUEUE", "DIGITSERVE_MAX_QUEUE_BYTES"),
)
BAD_TENSOR = ProblemType(
    "bad-tensor",
    400,
    "Wrong tensor",
    "The request names other inputs or outputs than the model has, or the input's datatype, shape "
    "or data do not fit: it is `pixels`, UINT8, of the shape that the model takes.",
    "Compare the request with the model's metadata, `GET /v2/models/<name>`.",
)
BAD_BINARY_DATA = ProblemType(
    "bad-binary-data",
    400,
    "Binary data and header disagree",
    "`Inference-Header-Content-Length`, `binary_data_size` and the bytes that were sent do not fit "
    "together.",
    "Let a client library such as tritonclient write the request, or correct the sizes.",
)
TOO_MANY_PIXELS = ProblemType(
    "too-many-pixels",
    413,
    "Too many pixels",
    "The image's header says that it has more pixels than the service decodes. Nothing was "
    "decoded.",
    "Scale the image down: it is reduced to the size that the model takes anyway.",
    ("DIGITSERVE_MAX_PIXELS",),
)
REQUEST_TOO_MANY_PIXELS = ProblemType(
    "request-too-many-pixels",
    413,
    "Too many pixels in a request",
    "The headers of the images say that together they have more pixels than the service decodes "
    "for one request. Nothing was decoded.",
    "Scale the images down, or spread them over several requests.",
    ("DIGITSERVE_MAX_REQUEST_PIXELS",),
)
DECODING_TOO_LARGE = ProblemType(
    "decoding-too-large",
    413,
    "Too much memory to decode",
    "To decode the image, or to read the document, takes more memory than the service has for "
    "one. It follows from the header: size, channels, bits of a sample, and whether it is "
    "progressive. Nothing was decoded.",
    "Scale the image down, or save it with 8 bits a sample.",
    ("DIGITSERVE_MAX_DECODING",),
)
OUT_OF_MEMORY = ProblemType(
    "out-of-memory",
    503,
    "Out of memory",
    "The service was refused memory while it worked on the request. The image may be whole.",
    "Retry after the pause. If this happens often, give the service more memory, or lower what it "
    "may take at a time.",
    ("DIGITSERVE_MAX_DECODING",),
    retry=True,
    reason="out_of_memory",
)
TOO_MANY_PICTURES = ProblemType(
    "too-many-pictures",
    413,
    "Too many images",
    "The request has more images than one request may have.",
    "Spread the images over several requests; the service batches them by itself.",
    ("DIGITSERVE_MAX_PICTURES", "DIGITSERVE_MAX_QUEUE", "DIGITSERVE_MAX_QUEUE_BYTES"),
)
NOT_A_PICTURE = ProblemType(
    "not-a-picture",
    422,
    "Not an image",
    "What was sent as an image is not one, is in a format that the service does not read, or is "
    "damaged or incomplete. The first bytes count, not the announced type.",
    "Send a PNG, JPEG, WebP, BMP, GIF or TIFF. If the file opens elsewhere, check that the client "
    "sends its bytes unchanged and completely.",
)
BLANK_PICTURE = ProblemType(
    "blank-picture",
    422,
    "Blank image",
    "Nothing on the image stands out from its background, so there is no digit to read.",
    "Check that the image shows a digit: an empty canvas, an image that is entirely "
    "transparent, and a digit in the colour of its background are common causes.",
)
MODEL_ANSWERED_NAN = ProblemType(
    "model-answered-nan",
    500,
    "Model answered NaN",
    "The model computed NaN, which is not a number, in place of probabilities: its weights are "
    "damaged, or its numbers overflow on this image, which is likelier in half precision.",
    "Send another image; the same one fails again. Serve another version, or the same one in full "
    "precision.",
    ("DIGITSERVE_PRECISION",),
)
QUEUE_FULL = ProblemType(
    "queue-full",
    503,
    "Overloaded",
    "More requests arrive than the service can answer, and as many as may wait are waiting "
    "already.",
    "Retry after the pause, and send fewer requests at once. Further workers or replicas help if "
    "this happens often.",
    ("DIGITSERVE_MAX_QUEUE", "DIGITSERVE_MAX_QUEUE_BYTES"),
    retry=True,
    reason="queue_full",
)
DEADLINE_UNREACHABLE = ProblemType(
    "deadline-unreachable",
    503,
    "Deadline cannot be met",
    "What is waiting takes longer than this request may take, so it was refused at once instead of "
    "timing out later.",
    "Retry after the pause, or allow more time with a longer `X-Request-Timeout`, up to the "
    "service's own limit.",
    ("DIGITSERVE_REQUEST_TIMEOUT",),
    retry=True,
    reason="deadline_unreachable",
)
DEADLINE_PASSED = ProblemType(
    "deadline-passed",
    504,
    "Too late",
    "The answer was not ready when the request's deadline passed: the client's own "
    "`X-Request-Timeout` or `timeout`, or the service's limit.",
    "Allow more time if the client set a short timeout. Otherwise the service is overloaded, or "
    "the images are very large.",
    ("DIGITSERVE_REQUEST_TIMEOUT",),
    retry=True,
    reason="deadline_passed",
)
