"""The device of a training, in one process or in several that `torchrun` started.

    torchrun --nproc_per_node=2 -m training ...     2 processes, each with a half of every batch

Processes meet over gloo on CPU and over NCCL on GPUs, one GPU a process. The first process alone
writes, prints and judges; what it decides it shares.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from contract.cgroup import available_cores
from training.model import NETWORKS
from training.recipe import BadRecipe, Recipe

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's numbers for mallopt
LARGE = 1 << 30  # bytes; beyond any tensor of a step

Shared = TypeVar("Shared")


@dataclass(frozen=True)
class Place:
    device: torch.device
    rank: int = 0  # of this process, 0 to processes - 1
    processes: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def name(self) -> str:
        """For people: "cpu", "2 x NVIDIA H200"."""
        cuda = self.device.type == "cuda"
        one = torch.cuda.get_device_name(self.device) if cuda else self.device.type
        return one if self.processes == 1 else f"{self.processes} x {one}"

    def say(self, line: str) -> None:
        """Print a line to stderr, in the first process only."""
        if self.first:
            print(line, file=sys.stderr, flush=True)

    def alike(self, network: nn.Module) -> nn.Module:
        """`network`, with its gradients averaged over all processes."""
        return network if self.processes == 1 else DistributedDataParallel(network)

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first process alone, then the others: for what must not be done twice at once."""
        if self.processes > 1 and not self.first:
            distributed.barrier()
        try:
            yield
        finally:
            if self.processes > 1 and self.first:
                distributed.barrier()

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        if self.processes == 1:
            return here
        flag = torch.tensor(int(here), device=self.device)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def mean(self, tensor: Tensor) -> Tensor:
        """Of all processes' tensors; in all of them."""
        if self.processes > 1:
            distributed.all_reduce(tensor)
        return tensor / self.processes

    def shared(self, value: Shared) -> Shared:
        """The first process's value, in all of them."""
        if self.processes == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]


@contextmanager
def place_of(recipe: Recipe) -> Iterator[Place]:
    """The device a recipe asks for; BadRecipe if this machine or this PyTorch has none."""
    kind = _device_kind(recipe, alone=not distributed.is_torchelastic_launched())
    if recipe.mixed_precision and kind != "cuda":
        raise BadRecipe(f"--mixed-precision is for CUDA, --device {recipe.device} is {kind} here")
    if not distributed.is_torchelastic_launched():
        yield Place(torch.device(kind, 0) if kind == "cuda" else torch.device(kind))
        return
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo")
    rank, processes = distributed.get_rank(), distributed.get_world_size()
    if recipe.batch_size % processes:
        raise BadRecipe(f"--batch-size {recipe.batch_size} is no multiple of {processes} processes")
    device = torch.device(kind)
    if kind == "cuda":
        number, there = distributed.get_node_local_rank(), torch.cuda.device_count()
        if number >= there:
            raise BadRecipe(f"process {number + 1} has no GPU of its own: there are {there}")
        device = torch.device(kind, number)
        torch.cuda.set_device(device)
    yield Place(device, rank, processes)
    distributed.barrier()  # none leaves while another one still asks it something


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


def _device_kind(recipe: Recipe, alone: bool) -> str:
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available() and alone,  # its processes cannot meet
        "cpu": True,
    }
    if recipe.device == "auto":
        return next(kind for kind, is_there in there.items() if is_there)
    if not there[recipe.device]:
        where = "" if alone else " that several processes could share"
        raise BadRecipe(
            f"--device is {recipe.device}, but PyTorch {torch.__version__} finds none on this "
            f"machine{where}. --device auto takes what there is"
        )
    return recipe.device
