"""The training loop: from images to weights, step by step.

    each batch:        pixels --augment--> images --network--> logits --> loss --> weights
                       with some images that are no digit, if the recipe has a share of them
    after each epoch:  validation loss; the best weights so far are kept

The data set is one tensor on the device, a batch is one indexing operation, and a batch is
augmented as a whole. So there are no data loaders and no worker processes.

Every random number depends only on the recipe's seed and on the step that it is drawn for. So the
same recipe on the same machine gives the same weights, bit for bit on a CPU, and a training that
was stopped after any step reaches the same weights when it is resumed. No random state is saved,
only weights, optimiser and counters.
"""

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from training.augment import Transform, augment, transformed
from training.checkpoint import Images
from training.evaluate import as_input, fit_temperature, logits_of
from training.listing import counted
from training.optimise import Schedule, average_of, optimiser_of
from training.place import Place
from training.progress import Epoch
from training.recipe import BadRecipe, Recipe

# Of their loss. With 0.5, as in Hendrycks et al. (arXiv 1812.04606), the quick recipe is right on
# 99.10 % of the held-out digits instead of 99.19 % (mean of seeds 0 to 2).
NON_DIGIT_WEIGHT = 0.25
CHECK_EVERY = 8  # steps between two checks for a stop in several processes: each is a message

# Everything that a stopped training needs to be resumed: tensors, numbers and texts only.
State = dict[str, Any]


class Stopped(Exception):
    """A stop was requested, and the training has saved its state."""

    def __init__(self, reason: str, folder: Path | None = None) -> None:
        """`folder` is that of the run to resume, if it is known."""
        super().__init__(reason)
        self.reason, self.folder = reason, folder


@dataclass(frozen=True)
class Part:
    pixels: Tensor  # (n, h, w) or (n, h, w, 3) uint8
    labels: Tensor  # (n,) int64

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Part":
        return Part(self.pixels.to(device), self.labels.to(device))

    def arrays(self) -> Images:
        kind = np.uint8 if self.labels.max() < 256 else np.uint16
        return self.pixels.numpy(), self.labels.numpy().astype(kind)


class Watcher(Protocol):
    """Observes a training and may stop it."""

    def step(self, done: int, means: Tensor) -> None: ...  # of the epoch: loss, accuracy (2,)
    def epoch(self, epoch: Epoch, network: nn.Module) -> None: ...
    def save(self, state: State) -> None: ...
    def stop_requested(self) -> bool: ...


class Training:
    """A training that can be stopped after any step and resumed later."""

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        place: Place,
        train: Part,
        validation: Part | None,
        teachers: Sequence[nn.Module] = (),
        transform: Transform | None = None,
        non_digits: Tensor | None = None,
    ) -> None:
        """`transform` augments images in place of the recipe's options. Each batch has some of
        `non_digits` (n, h, w) uint8 too, if there are any.
        """
        self._transform = transform
        self._non_digits = None if non_digits is None else non_digits.to(place.device)
        self._recipe, self._place = recipe, place
        self._train = train.to(place.device)
        self._validation = validation and validation.to(place.device)
        self._teachers = teachers
        self._network = network
        self._parallel_network = place.parallel(network)
        self._average = average_of(recipe, network)
        # Per epoch; images that do not fill a batch are left out of it.
        self.steps = len(train) // recipe.batch_size
        self._optimiser = optimiser_of(recipe, network)
        self._schedule = Schedule(recipe, self._optimiser, self.steps)
        # float16, of CUDA, has too small a range for gradients; bfloat16, of CPUs, has not.
        self._scales = recipe.mixed_precision and place.device.type == "cuda"
        self._scaler = torch.amp.GradScaler(enabled=self._scales)
        self._parts: dict[str, Any] = {
            "network": network,
            "optimiser": self._optimiser,
            "schedule": self._schedule.scheduler,
            "scaler": self._scaler,
        }
        if self._average:
            self._parts["average"] = self._average
        self._random = torch.Generator(place.device)
        self._epoch, self._step = 0, 0  # epochs completed, steps taken in the current one
        self._sums = torch.zeros(2, device=place.device)  # of this epoch: loss, accuracy
        # Times of this process, and those before it was resumed.
        self._began, self._seconds = time.monotonic(), 0.0
        self._cpu_began, self._cpu_seconds = time.process_time(), 0.0
        # Of the epoch with the lowest validation loss; without a validation part, of the last one.
        self.best: State = {"epoch": 0, "lowest": float("inf"), "weights": {}}
        self._progress = {"epoch": 0, "validation_loss": float("inf")}  # the last improvement
        self.history: list[Epoch] = []

    @property
    def kept(self) -> State:
        """Number and weights of the epoch that the recipe keeps."""
        if self._recipe.keep == "best":
            return self.best
        return {"epoch": self._epoch, "weights": self._judged_network().state_dict()}

    @property
    def done(self) -> str:
        """For people: "5 epochs and 120 of 445 steps"."""
        begun = f" and {self._step} of {self.steps} steps" if self._step else ""
        return f"{counted(self._epoch, 'epoch')}{begun}"

    @property
    def seconds(self) -> float:
        """The time that the training has taken so far, without interruptions."""
        return self._seconds + time.monotonic() - self._began

    @property
    def learning_rate(self) -> float:
        return self._schedule.learning_rate

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all threads so far; of several processes, that of the first one."""
        return self._cpu_seconds + time.process_time() - self._cpu_began

    def run(self, watcher: Watcher) -> None:
        """Train to the end; raise Stopped if `watcher` requests it, after the state was saved."""
        while self._epoch < self._recipe.epochs and not self._out_of_patience():
            self._train_epoch(watcher)
            self._end_epoch()
            watcher.epoch(self.history[-1], self._judged_network())
            watcher.save(self.state())

    def state(self) -> State:
        return {
            "epoch": self._epoch,
            "step": self._step,
            "sums": self._sums,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            **{name: part.state_dict() for name, part in self._parts.items()},
            "best": self.best,
            "progress": self._progress,
            "history": [epoch._asdict() for epoch in self.history],
        }

    def resume_from(self, state: State) -> None:
        """Continue where the training that saved `state` stopped."""
        self._epoch, self._step = state["epoch"], state["step"]
        self._seconds, self._cpu_seconds = state["seconds"], state["cpu_seconds"]
        self._sums = state["sums"].to(self._place.device)
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.best, self._progress = state["best"], state["progress"]
        self.history = [Epoch(**epoch) for epoch in state["history"]]

    # ---- an epoch -----------------------------------------------------------------------------

    def _train_epoch(self, watcher: Watcher) -> None:
        self._parallel_network.train()
        random = torch.Generator().manual_seed(_seed(self._recipe.seed, self._epoch))
        order = torch.randperm(len(self._train), generator=random)
        order = order.to(self._place.device)
        size, rank, processes = self._recipe.batch_size, self._place.rank, self._place.processes
        while self._step < self.steps:
            due = self._place.processes == 1 or self._step % CHECK_EVERY == 0
            if due and self._place.any(watcher.stop_requested()):
                watcher.save(self.state())
                raise Stopped(f"stopped after {self.done}")
            batch = order[self._step * size : (self._step + 1) * size][rank::processes]
            self._train_step(batch)
            self._step += 1
            watcher.step(self._epoch * self.steps + self._step, self._sums / self._step)

    def _train_step(self, batch: Tensor) -> None:
        self._seed_step()
        images = as_input(self._train.pixels[batch])  # (n, c, h, w)
        labels = self._train.labels[batch]  # (n,)
        if self._non_digits is not None:
            images = torch.cat([images, as_input(self._sampled(self._non_digits))])
        if self._epoch < self._recipe.epochs - self._recipe.plain_epochs:
            images = self._augmented(images)
        # Convolutions over channels-last tensors take half the CPU time.
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._place.device.type, enabled=self._recipe.mixed_precision):
            all_logits = self._parallel_network(images).float()
            logits, others = all_logits[: len(labels)], all_logits[len(labels) :]  # (n, classes)
            plain, loss = self._losses(logits, labels, images[: len(labels)])
            if len(others):
                equal = torch.full_like(others, 1 / others.shape[1])  # probabilities
                loss = loss + NON_DIGIT_WEIGHT * F.cross_entropy(others, equal)
        self._optimiser.zero_grad()
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self._optimised():
            self._schedule.after_step()
            if self._average:
                self._average.update_parameters(self._network)
        right = (logits.detach().argmax(1) == labels).float().mean()
        self._sums += torch.stack([plain, right])

    def _sampled(self, pixels: Tensor) -> Tensor:
        """Some of the images that are no digit, of which each process takes its part."""
        wanted = self._recipe.non_digits * self._recipe.batch_size / self._place.processes
        size = (max(1, round(wanted)),)
        return pixels[
            torch.randint(len(pixels), size, generator=self._random, device=self._place.device)
        ]

    def _augmented(self, images: Tensor) -> Tensor:
        if self._transform is None:
            return augment(images, self._recipe, self._random)
        return transformed(images, self._transform)

    def _optimised(self) -> bool:
        """Update the weights; with mixed precision, not if a gradient overflowed."""
        if not self._scales:
            self._optimiser.step()
            return True
        before = self._scaler.get_scale()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        return self._scaler.get_scale() >= before

    def _seed_step(self) -> None:
        """Seed augmentation and dropout of this step, differently in each process."""
        seed = _seed(self._recipe.seed, self._epoch, self._step, self._place.rank)
        torch.manual_seed(seed)
        self._random.manual_seed(seed)

    def _losses(self, logits: Tensor, labels: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """The plain cross-entropy, which is recorded, and the loss that is minimised."""
        loss = F.cross_entropy(logits, labels, label_smoothing=self._recipe.label_smoothing)
        plain = F.cross_entropy(logits.detach(), labels)
        if not self._teachers:
            return plain, loss
        share, softness = self._recipe.distillation, self._recipe.softness
        with torch.no_grad():  # the teachers get the same augmented images
            outputs = [
                F.softmax(teacher(images).float() / softness, 1) for teacher in self._teachers
            ]
            targets = torch.stack(outputs).mean(0)  # (n, classes)
        # Gradients of softened outputs are smaller by the square of the softness (Hinton et al.,
        # arXiv 1503.02531).
        distilled = F.cross_entropy(logits / softness, targets) * softness**2
        return plain, (1 - share) * loss + share * distilled

    def _end_epoch(self) -> None:
        """Evaluate the epoch, and keep its weights if they are the best so far."""
        self._epoch, self._step = self._epoch + 1, 0
        network = self._judged_network()
        means = self._place.mean(self._sums / self.steps)
        record = self._place.broadcast(self._judged(network, means) if self._place.first else None)
        assert record is not None
        self._sums.zero_()
        self._schedule.after_epoch(record.calibrated_loss)
        self.history.append(record)
        if not math.isfinite(record.loss):
            raise BadRecipe(
                f"the loss is not a finite number in epoch {self._epoch}: lower --learning-rate "
                f"{self._recipe.learning_rate}; the best weights were those of epoch "
                f"{self.best['epoch']}"
            )
        loss = math.inf if record.calibrated_loss is None else record.calibrated_loss
        if loss < self._progress["validation_loss"] - self._recipe.min_delta:
            self._progress = {"epoch": self._epoch, "validation_loss": loss}
        # Of epochs with equal losses to four digits, the last one was trained longest.
        if record.calibrated_loss is None or loss < self.best["lowest"] + 5e-5:
            weights = {name: value.clone() for name, value in network.state_dict().items()}
            lowest = min(loss, self.best["lowest"])
            self.best = {"epoch": self._epoch, "lowest": lowest, "weights": weights}

    def _judged(self, network: nn.Module, means: Tensor) -> Epoch:
        loss, right = means.tolist()
        validation_loss = validation_accuracy = calibrated_loss = None
        if self._validation and math.isfinite(loss):
            logits = logits_of(network, self._validation.pixels)
            labels = self._validation.labels
            validation_loss = float(F.cross_entropy(logits, labels))
            # Epochs are compared with the temperature, as in the service: smoothed labels make a
            # network less and less confident, which the plain loss measures more than the errors.
            temperature = fit_temperature(logits, labels)
            calibrated_loss = float(F.cross_entropy(logits / temperature, labels))
            validation_accuracy = float((logits.argmax(1) == labels).float().mean())
        return Epoch(
            epoch=self._epoch,
            loss=loss,
            accuracy=right,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            calibrated_loss=calibrated_loss,
            learning_rate=self._schedule.learning_rate,
            seconds=self.seconds,
        )

    def _judged_network(self) -> nn.Module:
        """The network that is evaluated: the moving average where there is one."""
        return self._average.module if self._average else self._network

    def _out_of_patience(self) -> bool:
        return 0 < self._recipe.patience <= self._epoch - self._progress["epoch"]


def _seed(*numbers: int) -> int:
    """A seed that is unique to these numbers: 63 bits of a hash."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
