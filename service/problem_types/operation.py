"""Operation: start and end of the service, and the live stream."""

from service.problem_types.problem_type import ProblemType

LIVE_CLOSED = ProblemType(
    "live-closed",
    403,
    "Live stream closed",
    "The service was started so that nobody may watch `/v1/live`.",
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
    "As many streams of `/v1/live` are open as a worker may have.",
    "Close one, or try again later. For permanent monitoring use `/metrics`.",
    ("DIGITSERVE_MAX_WATCHERS",),
    retry=True,
)
