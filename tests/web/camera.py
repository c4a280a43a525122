"""A fake camera that shows a digit: a short film for Chromium's fake capture device.

    --use-fake-device-for-media-stream --use-file-for-fake-video-capture=FILE.y4m

The film is raw: a header line, then FRAME and the planes Y, U and V of each frame.
"""

from pathlib import Path

import numpy as np

from tests.support.pictures import Gray

FRAMES = 4  # in a loop
GREY = 128  # of both chroma planes


def film(image: Gray, path: Path) -> Path:
    """Write a film that shows only this image, whose sides are even."""
    height, width = image.shape
    colour = np.full((2, height // 2, width // 2), GREY, np.uint8)
    frame = b"FRAME\n" + image.tobytes() + colour.tobytes()
    head = f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n"
    path.write_bytes(head.encode() + frame * FRAMES)
    return path


def switches(path: Path) -> tuple[str, ...]:
    return ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={path}")
