"""Bodies: size, media type, compression, JSON and forms."""

from service.errors import ProblemType

EMPTY_BODY = ProblemType(
    "empty-body",
    400,
    "Empty body",
    "The request has no body, or an entry that should hold an image is empty. A misspelt file "
    "name, or a file object that was already read to its end, is a common cause.",
    "Send an image file as the body: `curl --data-binary @seven.png`, with the `@`.",
)
CLIENT_GONE = ProblemType(
    "client-gone",
    400,
    "Client hung up",
    "The client closed the connection before the body was complete. Only logs show this problem.",
    "Look at the client's own timeout if this happens often.",
    retry=True,
)
BAD_COMPRESSION = ProblemType(
    "bad-compression",
    400,
    "Body not decompressible",
    "The body is not what `Content-Encoding` announces, ends too early, or is followed by other "
    "bytes.",
    "Compress the whole body once, in the announced coding, or send it uncompressed without the "
    "header.",
)
BAD_JSON = ProblemType(
    "bad-json",
    400,
    "Not JSON",
    "The body, or the part of it that should be JSON, cannot be parsed; `detail` says where it "
    "fails.",
    "Create the document with a JSON library, in UTF-8.",
)
JSON_TOO_DEEP = ProblemType(
    "json-too-deep",
    400,
    "JSON nested too deep",
    "Lists and objects are nested deeper than the service accepts. No valid request comes near "
    "the default limit.",
    "Send a flatter document.",
    ("DIGITSERVE_MAX_JSON_DEPTH",),
)
BAD_DOCUMENT = ProblemType(
    "bad-document",
    400,
    "Wrong JSON document",
    "The body is valid JSON, but not the document that the route expects: a field is missing, "
    "unknown, or of the wrong type. `detail` names the first one.",
    "Compare the document with the schema and the examples in `/docs`.",
)
BAD_BASE64 = ProblemType(
    "bad-base64",
    400,
    "Not base64",
    "A text that should hold an image is neither base64 nor a data URL of it; `detail` names the "
    "field.",
    "Encode the bytes of the image file in base64, or send the file itself as the body.",
)
BAD_FORM = ProblemType(
    "bad-form",
    400,
    "Not a valid form",
    "The body is not a complete form, or has no image in it; `detail` says what is missing.",
    "Let an HTTP library or `curl -F image=@seven.png` write the form with its boundary; put the "
    "options of a prediction into the URL.",
)
MEDIA_TYPE_MISMATCH = ProblemType(
    "media-type-mismatch",
    400,
    "Content-Type and body disagree",
    "The `Content-Type` announces a form or JSON, but the body is an image file.",
    "Send the file as `image/png` or `application/octet-stream`, or put it into a form.",
)
BODY_TIMEOUT = ProblemType(
    "body-timeout",
    408,
    "Body too slow",
    "The body did not arrive in time. The connection is closed.",
    "Send a smaller image, or use a faster connection; a client that sends a shorter "
    "`X-Request-Timeout` than it needs can send a longer one.",
    ("DIGITSERVE_REQUEST_TIMEOUT",),
    retry=True,
)
BODY_TOO_LARGE = ProblemType(
    "body-too-large",
    413,
    "Body too large",
    "The body has more bytes than the service accepts, as it is sent or once it is decompressed.",
    "Send a smaller image, or fewer of them in one request. A model reads a few "
    "hundred pixels as well as several thousand.",
    ("DIGITSERVE_MAX_BODY",),
)
DOCUMENT_TOO_LARGE = ProblemType(
    "document-too-large",
    413,
    "JSON document too large",
    "The JSON contains far more than the largest valid request needs, or more numbers than the "
    "service parses, and is refused before it is parsed.",
    "Send fewer images in one request, and nothing besides what the route documents; send large "
    "tensors as bytes, with Triton's binary data extension.",
    ("DIGITSERVE_MAX_PICTURES", "DIGITSERVE_MAX_QUEUE", "DIGITSERVE_MAX_QUEUE_BYTES"),
)
TOO_MANY_PARTS = ProblemType(
    "too-many-parts",
    413,
    "Too many parts in a form",
    "The form has more parts or fields than the service accepts.",
    "Spread the images over several requests.",
    ("DIGITSERVE_MAX_PARTS",),
)
PART_HEAD_TOO_LARGE = ProblemType(
    "part-head-too-large",
    413,
    "Head of a form's part too large",
    "A part of the multipart form has too many headers of its own, or too long ones.",
    "Send each image with `Content-Disposition`, `Content-Type` and a short file name only.",
)
UNSUPPORTED_MEDIA_TYPE = ProblemType(
    "unsupported-media-type",
    415,
    "Unsupported media type",
    "The `Content-Type` of the request names something other than images, such as text or video.",
    "Send an image file as any `image/*` or `application/octet-stream`, or several in "
    "`multipart/form-data` or `application/json`.",
)
UNSUPPORTED_ENCODING = ProblemType(
    "unsupported-encoding",
    415,
    "Unsupported content encoding",
    "The body is compressed in a way that the route does not accept. Image files are compressed "
    "already, so `/v1` accepts no further compression; `/v2` accepts gzip and deflate.",
    "Send the body as the `Accept-Encoding` header of the answer says.",
)
BUFFER_FULL = ProblemType(
    "buffer-full",
    503,
    "No memory for the request",
    "Requests that arrive or wait at this worker, and answers that clients do not read, fill the "
    "memory that they may occupy together.",
    "Retry after the pause, and send smaller images. Further workers or replicas help if this "
    "happens often.",
    ("DIGITSERVE_MAX_BUFFERED",),
    retry=True,
    reason="buffer_full",
)
