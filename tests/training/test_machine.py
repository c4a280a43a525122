"""The number of threads is the requested one, or a default that suits the network."""

import pytest
import torch

from contract.cgroup import available_cores
from training.place import configure
from training.recipe import Recipe


@pytest.mark.parametrize(
    ("recipe", "processes", "threads"),
    [
        (Recipe(), 1, 1),
        (Recipe(network="classic"), 1, min(64, available_cores())),
        (Recipe(network="classic"), 1000, 1),
        (Recipe(threads=3), 2, 3),
    ],
    ids=["compact", "classic", "many processes", "requested"],
)
def test_threads_are_the_requested_number_or_fit_the_network(
    recipe: Recipe, processes: int, threads: int
) -> None:
    before = torch.get_num_threads()
    configure(recipe, processes)
    found = torch.get_num_threads()
    torch.set_num_threads(before)
    assert found == threads
