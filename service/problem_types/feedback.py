"""Corrections: labels that users give to images, and their review."""

from service.errors import ProblemType

FEEDBACK_OFF = ProblemType(
    "feedback-off",
    404,
    "No corrections are accepted",
    "The service was started without a folder for corrections, so it keeps none.",
    "Start the service with `DIGITSERVE_FEEDBACK` set to a folder that it may write to.",
    ("DIGITSERVE_FEEDBACK",),
)
NO_SUCH_CORRECTION = ProblemType(
    "no-such-correction",
    404,
    "No such correction",
    "There is no correction of that image, or none with that label: it was deleted, or became too "
    "old.",
    "Use an image that `GET /v1/feedback` lists, and one of its labels.",
    ("DIGITSERVE_FEEDBACK_DAYS",),
)
LABEL_NEEDED = ProblemType(
    "label-needed",
    409,
    "Several labels",
    "The image was given several labels, and the request does not say which one is accepted.",
    "Name the label in the query: `?label=7`.",
)
UNKNOWN_LABEL = ProblemType(
    "unknown-label",
    422,
    "Unknown label",
    "A correction has no label, or one that is not a label of the served version.",
    "Send one of the labels on the model's card as `label`: in the URL with an image file, else as "
    "a field of the form or of the JSON.",
)
CROSS_SITE = ProblemType(
    "cross-site",
    403,
    "Sent by another site",
    "The page of another site sent a correction through a visitor's browser. Such pages could "
    "otherwise teach the model what they like, even where only the browser reaches the service.",
    "Add the page's origin to `DIGITSERVE_CORS_ORIGINS` if it may send corrections.",
    ("DIGITSERVE_CORS_ORIGINS",),
)
TOO_MANY_CORRECTIONS = ProblemType(
    "too-many-corrections",
    429,
    "Too many corrections",
    "A client sends more corrections a minute than it may. They are counted for each API key, "
    "or, where there are no keys, for each address (of IPv6, each network of 64 bits).",
    "Send the correction again after the pause.",
    ("DIGITSERVE_FEEDBACK_RATE",),
    retry=True,
)
FEEDBACK_UNAVAILABLE = ProblemType(
    "feedback-unavailable",
    503,
    "Corrections not available",
    "The folder of the corrections cannot be read or written: its disk is not mounted, its "
    "permissions changed, or it does not answer in time. Predictions are still answered.",
    "Make the folder writable for the service, then send the correction again.",
    ("DIGITSERVE_FEEDBACK",),
    retry=True,
)
FEEDBACK_FULL = ProblemType(
    "feedback-full",
    507,
    "No more corrections are kept",
    "As many corrections are kept as may be, by number or by bytes; rejected ones do not count.",
    "Review those that wait, train on the accepted ones and delete them, or raise the limit.",
    ("DIGITSERVE_FEEDBACK_MAX", "DIGITSERVE_FEEDBACK_BYTES"),
)
FEEDBACK_DISK_FULL = ProblemType(
    "feedback-disk-full",
    507,
    "Disk full",
    "The disk of the corrections has no room. Predictions are still answered.",
    "Free some space on the disk, then send the correction again.",
    ("DIGITSERVE_FEEDBACK",),
    retry=True,
)
