"""What the examples send, and a service that they send it to.

`make test-examples` runs the tests of this folder: they need programs that may not be installed.
"""

from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
from tests.fixtures import Judged
from tests.support.pictures import SEVEN, encoded


@pytest.fixture(scope="session")
def models(published: tuple[Store, Version]) -> Path:
    """The folder of the store whose current version is the committed one."""
    return published[0].folder.parent


@pytest.fixture(scope="session")
def images(judged: Judged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a drawing, and with ten test images of the model in its own form."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "seven.png").write_bytes(SEVEN)
    for number, pixels in enumerate(judged.pixels[:10]):
        (folder / f"{number}.png").write_bytes(encoded(pixels))
    return folder
