"""Files of a run, each written aside and renamed: nobody sees half of one."""

import os
from collections.abc import Callable
from pathlib import Path

from contract.files import sync


def replace_text(path: Path, text: str) -> None:
    replace(path, lambda aside: aside.write_text(text))


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write aside, then rename: nobody sees half a file."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(aside)
        sync(aside)
        aside.replace(path)
        sync(path.parent)
    except RuntimeError as error:  # torch.save's word for a full disk
        raise OSError(f"{path} cannot be written: {first_line(error)}") from error
    finally:
        aside.unlink(missing_ok=True)


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
