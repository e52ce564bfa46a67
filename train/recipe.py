"""Everything that decides how a model is trained, as one frozen record with presets."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is trained; two runs with equal recipes, data and machine are equal.

    Attributes:
        optimizer: "adamw" or "sgd" (Nesterov, momentum 0.9).
        lr: peak learning rate, reached after ``warmup`` of the schedule, then cosine to 0.
        lr_scales: (name prefix, factor) pairs; the first that matches a parameter scales its
            learning rate, 0 freezes it (layer-wise decay for fine-tuning). Each prefix must match.
        sizes: (until, pixels) pairs: up to this fraction of the epochs, train at this edge
            (progressive resizing, EfficientNetV2, arXiv:2104.00298).
        eval_size: edge of validation photos, up to a tenth larger than the last training size, as
            random crops show things larger (FixRes, arXiv:1906.06423).
        balance: 0 draws every photo once an epoch, 1 draws all classes equally often.
        others: where classes are balanced, the share of photos without a landmark; 0 leaves it.
        ema_decay: per step, of the averaged weights that are validated and kept.
        mix: share of batches mixed, half by mixup (``mixup`` is its Beta parameter), half by
            cutmix (``cutmix``); arXiv:1710.09412, arXiv:1905.04899.
        patience: stop after so many validations without a lower loss; 0 never stops early.
        crop: smallest share of a photo's area that a training crop shows.
        operations, magnitude: RandAugment (arXiv:1909.13719): how many, and how strong, 0 to 1.
        erase: share of photos with a rectangle erased (arXiv:1708.04896).
        degrade: share of photos blurred, scaled down and up, or recompressed.
        mix_off: the last fraction of the epochs trains without mixing.
    """

    epochs: int
    lr: float
    sizes: tuple[tuple[float, int], ...]
    eval_size: int
    batch: int = 64
    optimizer: str = "adamw"
    weight_decay: float = 0.05
    warmup: float = 0.05
    lr_scales: tuple[tuple[str, float], ...] = ()
    clip: float = 1.0
    label_smoothing: float = 0.1
    balance: float = 0.0
    others: float = 0.0
    ema_decay: float = 0.998
    mix: float = 0.0
    mixup: float = 0.2
    cutmix: float = 1.0
    mix_off: float = 0.0
    crop: float = 0.25
    operations: int = 1
    magnitude: float = 0.5
    erase: float = 0.0
    degrade: float = 0.3
    validate_every: int = 1
    patience: int = 0
    seed: int = 0

    def size_at(self, epoch: int) -> int:
        """Edge of the training photos in this epoch (from 0), in pixels."""
        done = epoch / self.epochs
        return next((size for until, size in self.sizes if done < until), self.sizes[-1][1])

    def lr_factor(self, progress: float) -> float:
        """Share of the peak learning rate when ``progress`` (0..1) of the run is done."""
        if progress < self.warmup:
            return progress / self.warmup
        return 0.5 + 0.5 * math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup))
