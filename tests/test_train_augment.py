"""Random views: shapes and ranges, the same for the same seed, labels mixed like the photos."""

from dataclasses import replace

import pytest
import torch

from train.photos.arrays import one_hot
from train.photos.augment import augment, mix, resized
from train.recipe import Recipe

RECIPE = Recipe(
    epochs=1,
    lr=0.1,
    sizes=((1.0, 32),),
    eval_size=32,
    operations=2,
    magnitude=1.0,
    erase=0.5,
    degrade=0.5,
    mix=1.0,
)
PLAIN = replace(RECIPE, operations=0, magnitude=0.0, erase=0.0, degrade=0.0, crop=1.0)


def photos(count: int = 24, height: int = 40, width: int = 48) -> torch.Tensor:
    chance = torch.Generator().manual_seed(3)
    small = torch.randint(0, 256, (count, 3, 5, 6), generator=chance).float()
    whole = torch.nn.functional.interpolate(small, (height, width), mode="bilinear")
    return whole.to(torch.uint8)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [24, 64])
def test_views_are_finite_floats_in_range_and_leave_the_photos_alone(size: int) -> None:
    before = photos()
    given = before.clone()
    for seed in range(5):
        views = augment(given, size, RECIPE, seeded(seed))
        assert views.shape == (24, 3, size, size)
        assert views.dtype == torch.float32
        assert views.isfinite().all()
        assert views.min() >= 0
        assert views.max() <= 1
    assert torch.equal(before, given)


def test_a_seed_fixes_the_views() -> None:
    first, again, other = (augment(photos(), 32, RECIPE, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_no_strength_leaves_only_crop_shape_and_mirror() -> None:
    given = photos(height=32, width=32)
    views = augment(given, 32, PLAIN, seeded(0))
    whole = given.float() / 255
    nearest = torch.minimum(
        (views - whole).abs().mean((1, 2, 3)), (views - whole.flip(-1)).abs().mean((1, 2, 3))
    )
    assert nearest.max() < 0.12  # of a full range of 1; unrelated photos differ by 0.25
    assert (augment(given, 32, PLAIN, seeded(0)).mean() - whole.mean()).abs() < 0.02


def test_smaller_crops_show_less() -> None:
    # A ramp from black to white: the range seen is the width of the crop.
    ramp = torch.arange(0, 256, 2, dtype=torch.uint8).expand(24, 3, 128, 128).contiguous()

    def seen(views: torch.Tensor) -> float:
        return float((views.amax((1, 2, 3)) - views.amin((1, 2, 3))).mean())

    narrow = augment(ramp, 32, replace(PLAIN, crop=0.05), seeded(0))
    assert seen(narrow) < 0.85 * seen(augment(ramp, 32, PLAIN, seeded(0)))


def test_degrading_keeps_the_picture() -> None:
    given = photos(height=32, width=32)
    recipe = replace(PLAIN, degrade=1.0)
    sharp, worse = (augment(given, 32, r, seeded(0)) for r in (PLAIN, recipe))
    assert not torch.equal(sharp, worse)
    assert (sharp.mean((1, 2, 3)) - worse.mean((1, 2, 3))).abs().max() < 0.1


@pytest.mark.parametrize("seed", range(12))
def test_targets_are_mixed_in_proportion_to_what_is_seen(seed: int) -> None:
    # Photo i is entirely of brightness i / 7, so its mean tells how much of which is in it.
    count = 8
    targets = one_hot(torch.arange(count), count)
    brightness = torch.arange(count) / (count - 1)
    batch = brightness.view(-1, 1, 1, 1).expand(count, 3, 16, 16).clone()
    mixed = mix(batch, targets, RECIPE, seeded(seed))
    assert mixed.sum(1).tolist() == pytest.approx([1.0] * count, abs=1e-5)
    assert torch.allclose(batch.mean((1, 2, 3)), mixed @ brightness, atol=1e-5)


def test_mixing_follows_the_share_asked_for() -> None:
    targets = one_hot(torch.arange(4), 4)

    def mixed(share: float) -> int:
        chance, recipe = seeded(0), replace(RECIPE, mix=share)
        return sum(
            not torch.equal(mix(torch.rand(4, 3, 8, 8), targets, recipe, chance), targets)
            for _ in range(60)
        )

    assert mixed(0.0) == 0
    assert 10 < mixed(0.5) < 50


def test_whole_photos_are_scaled_with_averaging() -> None:
    stripes = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 255
    assert resized(stripes, 64).max() == 1
    assert resized(stripes, 16)[..., 2:-2].sub(0.5).abs().max() < 0.05
