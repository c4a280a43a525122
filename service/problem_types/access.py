"""Access: API keys and the admin token."""

from service.problem_types.problem_type import ProblemType

NO_API_KEY = ProblemType(
    "no-api-key",
    401,
    "No API key",
    "The service has API keys, and the request carries none. Probes, `/metrics` and pages need "
    "none.",
    "Send a key as `Authorization: Bearer <key>` or `X-API-Key: <key>`.",
    ("DIGITSERVE_API_KEYS",),
)
WRONG_API_KEY = ProblemType(
    "wrong-api-key",
    401,
    "Unknown API key",
    "The key in the request is not one of the service's keys. It may have been replaced, or have "
    "lost or gained a character on its way from a configuration file.",
    "Ask the operator for a current key.",
    ("DIGITSERVE_API_KEYS",),
)
NO_ADMIN_TOKEN = ProblemType(
    "no-admin-token",
    401,
    "No admin token",
    "Changing which version serves, and loading a version to compare it, need the admin token; the "
    "request carries none.",
    "Send the token as `Authorization: Bearer <token>`.",
    ("DIGITSERVE_ADMIN_TOKEN",),
)
WRONG_ADMIN_TOKEN = ProblemType(
    "wrong-admin-token",
    401,
    "Wrong admin token",
    "The token in the request is not the service's admin token. An API key does not replace it.",
    "Ask the operator for the current token.",
    ("DIGITSERVE_ADMIN_TOKEN",),
)
ADMIN_CLOSED = ProblemType(
    "admin-closed",
    403,
    "Admin routes closed",
    "The service was started without an admin token, so no request may change which version "
    "serves, or load a version to compare it.",
    "Start the service with an admin token to open these routes.",
    ("DIGITSERVE_ADMIN_TOKEN",),
)
