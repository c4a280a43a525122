"""Where the log goes and what a line of it looks like."""

import logging
import sys

from service.settings import Settings


def log_to_stderr(settings: Settings, who: str = "") -> None:
    """`who` stands before each message, where several processes write into one log."""
    logging.basicConfig(
        level=settings.log_level.upper(),
        format=f"%(asctime)s %(levelname)s %(name)s: {who}%(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # `server` tells its life
