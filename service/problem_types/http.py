"""HTTP: connections, heads of requests, routes and methods."""

from service.errors import ProblemType

BAD_HTTP = ProblemType(
    "bad-http",
    400,
    "Not valid HTTP/1.1",
    "The bytes on the connection are not a valid HTTP/1.1 request, or can be read in more than one "
    "way, as with two different lengths of one body. The connection is closed.",
    "Use an HTTP library instead of writing the request by hand; look at what a proxy in between "
    "adds. A client that speaks TLS or HTTP/2 needs a proxy that ends it in front of the service.",
)
REPEATED_HEADER = ProblemType(
    "repeated-header",
    400,
    "Header sent twice",
    "A header that may occur once, such as `Host`, `Content-Type` or `Authorization`, occurs more "
    "than once, so it is not clear which value counts.",
    "Send the header once. If the client does, look at what a proxy in between adds.",
)
HOST_HEADER = ProblemType(
    "host-header",
    400,
    "Not one Host header",
    "An HTTP/1.1 request has exactly one `Host` header; this one has none, or several, so proxies "
    "and the service could disagree on where it belongs.",
    "Let an HTTP library write the header, or send `Host: <name>` once.",
)
BAD_PARAMETER = ProblemType(
    "bad-parameter",
    400,
    "Bad parameter",
    "A parameter in the path, the query or the headers is missing, has the wrong type or is out of "
    "its bounds; `detail` names it.",
    "Correct the parameter. `/docs` shows the type and the bounds of each.",
)
NO_SUCH_ROUTE = ProblemType(
    "no-such-route",
    404,
    "No such route",
    "The service has nothing at this path. A prefix that a proxy should remove, or should not, is "
    "a common cause; so is a misspelt path.",
    "Compare the path with those that `/docs` lists.",
)
METHOD_NOT_ALLOWED = ProblemType(
    "method-not-allowed",
    405,
    "Method not allowed",
    "The path exists, but not for this method: predictions take POST, for instance.",
    "Use one of the methods that the `Allow` header of the answer lists.",
)
HEAD_TIMEOUT = ProblemType(
    "head-timeout",
    408,
    "Request head too slow",
    "The request line and the headers did not arrive in time. The connection is closed, so that "
    "slow clients cannot occupy all connections.",
    "Send the head of the request at once. If the client does, look at the network in between.",
    ("DIGITSERVE_REQUEST_TIMEOUT",),
    retry=True,
)
HEAD_TOO_LARGE = ProblemType(
    "head-too-large",
    431,
    "Request head too large",
    "The request line and the headers together have more bytes than the service accepts; large "
    "cookies and long URLs are common causes. The connection is closed.",
    "Send fewer or shorter headers; images belong in the body.",
    ("DIGITSERVE_MAX_HEADER",),
)
INTERNAL_ERROR = ProblemType(
    "internal-error",
    500,
    "Internal error",
    "The service failed in a way that it does not expect. The request is not at fault, and the "
    "answer contains no further details.",
    "Give the operator the `request_id`: the log has the exception and its traceback under it.",
    retry=True,
)
METHOD_NOT_IMPLEMENTED = ProblemType(
    "method-not-implemented",
    501,
    "Method not implemented",
    "The service knows the method for none of its routes; `CONNECT`, for instance, is for proxies.",
    "Use GET, HEAD, POST or OPTIONS. A client that sends CONNECT takes the service for a proxy: "
    "correct its proxy setting.",
)
TOO_MANY_CONNECTIONS = ProblemType(
    "too-many-connections",
    503,
    "Too many connections",
    "The worker has as many connections as it may have. On further ones only probes, `/metrics` "
    "and pages are answered.",
    "Reuse connections instead of opening one for each request, and close those that are idle.",
    ("DIGITSERVE_MAX_CONNECTIONS",),
    retry=True,
    reason="connections",
)
