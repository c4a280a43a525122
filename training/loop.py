"""The training loop: one story from a data set to weights and a temperature.

The whole data set is one tensor, a batch is one indexing operation, and augmentation happens to a
whole batch: no loader, no worker processes. On CPU, the same recipe on the same machine gives the
same weights, bit for bit.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from contract.card import DataFacts, Evaluation
from contract.cores import available_cores
from training.augment import augment
from training.data import DataSet
from training.evaluate import as_ink, evaluate, fit_temperature, logits_of
from training.model import Compact
from training.progress import Epoch, Progress
from training.recipe import BadRecipe, Recipe


@dataclass(frozen=True, kw_only=True)
class Trained:
    network: nn.Module
    temperature: float
    data_facts: DataFacts
    evaluation: Evaluation  # on the test set, which nothing before it has seen
    wall_seconds: float
    cpu_seconds: float  # of this process, all threads


@dataclass(frozen=True)
class Part:
    pixels: Tensor  # (n, 28, 28) uint8
    labels: Tensor  # (n,) int64

    def __len__(self) -> int:
        return len(self.labels)


def train(data: DataSet, recipe: Recipe, on_epoch: Callable[[Epoch], None]) -> Trained:
    """Train `compact` on `data`; `on_epoch` is told of each epoch as it ends."""
    wall, cpu = time.monotonic(), time.process_time()
    torch.set_num_threads(recipe.threads or available_cores())
    torch.manual_seed(recipe.seed)  # weights and dropout
    random = torch.Generator().manual_seed(recipe.seed)  # split, order and augmentation
    learn, held_out = _split(_part(*data.train), recipe, random)
    network = Compact(classes=len(data.labels), dropout=recipe.dropout)
    # Convolutions over channels-last tensors take half the CPU time here.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    _fit(network, learn, held_out, recipe, random, on_epoch)
    temperature = fit_temperature(logits_of(network, held_out.pixels), held_out.labels)
    test = _part(*data.test)
    return Trained(
        network=network,
        temperature=temperature,
        data_facts=DataFacts(
            name=data.name,
            source=data.source,
            train=len(learn),
            validation=len(held_out),
            test=len(test),
        ),
        evaluation=evaluate(
            logits_of(network, test.pixels), test.labels, temperature, list(data.labels)
        ),
        wall_seconds=time.monotonic() - wall,
        cpu_seconds=time.process_time() - cpu,
    )


def _fit(
    network: nn.Module,
    learn: Part,
    held_out: Part,
    recipe: Recipe,
    random: torch.Generator,
    on_epoch: Callable[[Epoch], None],
) -> None:
    began = time.monotonic()
    steps = len(learn) // recipe.batch_size  # an epoch; what is left over waits for the next order
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.epochs * steps, pct_start=0.3
    )
    with Progress(steps=recipe.epochs * steps, epochs=recipe.epochs) as progress:
        for epoch in range(1, recipe.epochs + 1):
            network.train()
            total = torch.zeros(())
            order = torch.randperm(len(learn), generator=random)
            plain = epoch > recipe.epochs - recipe.plain_epochs
            for step, batch in enumerate(order[: steps * recipe.batch_size].chunk(steps), 1):
                ink = as_ink(learn.pixels[batch])  # (n, 1, 28, 28)
                if not plain:
                    ink = augment(ink, recipe, random)
                loss = F.cross_entropy(
                    network(ink.contiguous(memory_format=torch.channels_last)),
                    learn.labels[batch],
                    label_smoothing=recipe.label_smoothing,
                )
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                total += loss.detach()
                progress.step((epoch - 1) * steps + step, float(total) / step)
            logits = logits_of(network, held_out.pixels)
            record = Epoch(
                epoch=epoch,
                loss=float(total) / steps,
                validation_loss=float(F.cross_entropy(logits, held_out.labels)),
                validation_accuracy=float((logits.argmax(1) == held_out.labels).float().mean()),
                learning_rate=float(schedule.get_last_lr()[0]),
                seconds=time.monotonic() - began,
            )
            progress.epoch(record, steps_done=epoch * steps)
            on_epoch(record)


def _split(part: Part, recipe: Recipe, random: torch.Generator) -> tuple[Part, Part]:
    """What the weights learn from, and what is held out to judge them by."""
    order = torch.randperm(len(part), generator=random)
    held_out = max(1, round(len(part) * recipe.validation))
    if recipe.batch_size > len(part) - held_out:
        raise BadRecipe(
            f"--batch-size is {recipe.batch_size}, more than the {len(part) - held_out} pictures "
            f"there are to learn from ({held_out} of {len(part)} are held out)"
        )
    taken, kept = order[:held_out], order[held_out:]
    return (
        Part(part.pixels[kept], part.labels[kept]),
        Part(part.pixels[taken], part.labels[taken]),
    )


def _part(pixels: object, labels: object) -> Part:
    return Part(torch.tensor(pixels), torch.tensor(labels).long())
