"""The device of a training, in one process or in several processes started by `torchrun`.

    torchrun --nproc_per_node=2 -m training ...     2 processes, each with half of every batch

Processes communicate over gloo on CPUs and over NCCL on GPUs, with one GPU for each process. Only
the first process writes, prints and evaluates; it broadcasts its results.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from contract.cgroup import available_cores
from preprocessing.allocation import keep_freed_memory
from training.model import kind_of
from training.recipe import BadRecipe, Recipe, halves

Value = TypeVar("Value")


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
        """A readable name: "cpu", "2 x NVIDIA H200"."""
        cuda = self.device.type == "cuda"
        one = torch.cuda.get_device_name(self.device) if cuda else self.device.type
        return one if self.processes == 1 else f"{self.processes} x {one}"

    def print(self, line: str) -> None:
        """Print a line to stderr, in the first process only."""
        if self.first:
            print(line, file=sys.stderr, flush=True)

    def parallel(self, network: nn.Module) -> nn.Module:
        """`network`, with its gradients averaged over all processes."""
        return network if self.processes == 1 else DistributedDataParallel(network)

    @contextmanager
    def first_then_others(self) -> Iterator[None]:
        """Run the block in the first process, then in the others: it must not overlap."""
        if self.processes > 1 and not self.first:
            distributed.barrier()
        try:
            yield
        finally:
            if self.processes > 1 and self.first:
                distributed.barrier()

    def any(self, here: bool) -> bool:
        """Whether `here` is true in any process."""
        if self.processes == 1:
            return here
        flag = torch.tensor(int(here), device=self.device)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean of the tensors of all processes."""
        if self.processes > 1:
            distributed.all_reduce(tensor)
        return tensor / self.processes

    def broadcast(self, value: Value) -> Value:
        """The value of the first process, in every process."""
        if self.processes == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]


@contextmanager
def place_of(recipe: Recipe) -> Iterator[Place]:
    """The device that the recipe names; BadRecipe if this machine or PyTorch build lacks it."""
    kind = _device_kind(recipe, alone=not distributed.is_torchelastic_launched())
    if recipe.mixed_precision and not halves(kind):
        raise BadRecipe(
            f"--mixed-precision is for CUDA and for CPUs that compute bfloat16; --device "
            f"{recipe.device} is {kind} here, which does not: use --no-mixed-precision"
        )
    if not distributed.is_torchelastic_launched():
        yield Place(torch.device(kind, 0) if kind == "cuda" else torch.device(kind))
        return
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo")
    rank, processes = distributed.get_rank(), distributed.get_world_size()
    if recipe.batch_size % processes:
        raise BadRecipe(
            f"--batch-size {recipe.batch_size} is not divisible by {processes} processes"
        )
    device = torch.device(kind)
    if kind == "cuda":
        number, there = distributed.get_node_local_rank(), torch.cuda.device_count()
        if number >= there:
            raise BadRecipe(f"process {number + 1} needs a GPU of its own, but there are {there}")
        device = torch.device(kind, number)
        torch.cuda.set_device(device)
    yield Place(device, rank, processes)
    distributed.barrier()  # no process ends while another one still communicates with it


def configure(recipe: Recipe, processes: int) -> None:
    """Set the threads of the recipe or the network, and keep freed memory for the next step."""
    mine = max(1, available_cores() // processes)
    torch.set_num_threads(recipe.threads or min(mine, kind_of(recipe.network).threads))
    keep_freed_memory()


def _device_kind(recipe: Recipe, alone: bool) -> str:
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available() and alone,  # has no communication
        "cpu": True,
    }
    if recipe.device == "auto":
        return next(kind for kind, is_there in there.items() if is_there)
    if not there[recipe.device]:
        where = "" if alone else " that several processes could share"
        raise BadRecipe(
            f"--device is {recipe.device}, but PyTorch {torch.__version__} finds none on this "
            f"machine{where}. --device auto uses what there is"
        )
    return recipe.device
