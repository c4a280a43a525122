"""Operation and access: API keys, the admin token, start and stop, and the live stream."""

from service.errors import ProblemType

LIVE_CLOSED = ProblemType(
    "live-closed",
    403,
    "Live stream closed",
    "The service was started so that nobody may watch `/v1/live` or the events of a job.",
    "Read `/metrics` instead, or start the service with a higher limit.",
    ("DIGITSERVE_MAX_WATCHERS",),
)
STOPPING = ProblemType(
    "stopping",
    503,
    "Stopping",
    "The service was asked to stop: it completes what it has accepted and accepts nothing more.",
    "Send the request again, on a new connection: a load balancer picks another replica, and a "
    "restarted service is back soon.",
    retry=True,
)
NOT_READY = ProblemType(
    "not-ready",
    503,
    "Not ready",
    "The process runs, but the part of it that calls the model has ended, so no prediction can be "
    "answered.",
    "Restart the service; the log says why it ended. A load balancer that follows `/readyz` sends "
    "requests elsewhere meanwhile.",
    retry=True,
)
TOO_MANY_WATCHERS = ProblemType(
    "too-many-watchers",
    503,
    "Too many watchers",
    "As many streams of `/v1/live`, or of jobs' events, are open as a worker may have.",
    "Close one, or try again later. For permanent monitoring use `/metrics`.",
    ("DIGITSERVE_MAX_WATCHERS",),
    retry=True,
)
NO_API_KEY = ProblemType(
    "no-api-key",
    401,
    "No API key",
    "The service has API keys, and the request carries none. Probes, `/metrics` and pages need "
    "none.",
    "Send a key as `Authorization: Bearer <key>` or `X-API-Key: <key>`.",
    ("DIGITSERVE_API_KEYS",),
    reason="no_key",
)
WRONG_API_KEY = ProblemType(
    "wrong-api-key",
    401,
    "Unknown API key",
    "The key in the request is not one of the service's keys. It may have been replaced, or have "
    "lost or gained a character on its way from a configuration file.",
    "Ask the operator for a current key.",
    ("DIGITSERVE_API_KEYS",),
    reason="wrong_key",
)
NO_ADMIN_TOKEN = ProblemType(
    "no-admin-token",
    401,
    "No admin token",
    "Changing which version serves, loading a version to compare it, retraining, and reviewing "
    "corrections need the admin token; the request carries none.",
    "Send the token as `Authorization: Bearer <token>`.",
    ("DIGITSERVE_ADMIN_TOKEN",),
    reason="no_token",
)
WRONG_ADMIN_TOKEN = ProblemType(
    "wrong-admin-token",
    401,
    "Wrong admin token",
    "The token in the request is not the service's admin token. An API key does not replace it.",
    "Ask the operator for the current token.",
    ("DIGITSERVE_ADMIN_TOKEN",),
    reason="wrong_token",
)
ADMIN_CLOSED = ProblemType(
    "admin-closed",
    403,
    "Admin routes closed",
    "The service was started without an admin token, so no request may change which version "
    "serves, load a version to compare it, retrain, or review corrections.",
    "Start the service with an admin token to open these routes.",
    ("DIGITSERVE_ADMIN_TOKEN",),
    reason="admin_closed",
)
