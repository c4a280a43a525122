"""How a training uses the CPU it runs on: threads and memory."""

import ctypes

import torch

from contract.cores import available_cores
from training.model import NETWORKS
from training.recipe import Recipe

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's numbers for mallopt
LARGE = 1 << 30  # bytes; beyond any tensor of a step


def settle(recipe: Recipe, processes: int) -> None:
    """Choose threads as the recipe or the network has it, and keep freed memory for the next step.

    glibc gives large blocks back to the system when a step has freed them, and the next step gets
    them again page by page: 10 to 20 % of a `compact` step's time on a 2-core AMD EPYC.
    """
    mine = max(1, available_cores() // processes)
    torch.set_num_threads(recipe.threads or min(mine, NETWORKS[recipe.network].threads))
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc; macOS and musl have their own ways
        mallopt(M_TRIM_THRESHOLD, LARGE)
        mallopt(M_MMAP_THRESHOLD, LARGE)
