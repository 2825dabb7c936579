"""What cloth and skin look like: colours, patterns, folds."""

import numpy as np

from canvas import SOURCE, XS, YS, smooth_noise, soft

# Patterns that the training never sees.
HELD_PATTERNS = ("checks", "camouflage")
PATTERNS = ("plain", "plain", "plain", "plain", "mottled", "stripes", "dots", "print", "gradient", "weave")


def colour(rng):
    """Any colour of cloth: white, black, greys, surgical blues, skin-like tones, and all others."""
    kind = rng.random()
    if kind < 0.2:
        return np.full(3, rng.uniform(190, 255), np.float32) + rng.normal(0, 5, 3).astype(np.float32)
    if kind < 0.4:
        return np.full(3, rng.uniform(5, 60), np.float32) + rng.normal(0, 4, 3).astype(np.float32)
    if kind < 0.5:
        return np.full(3, rng.uniform(60, 190), np.float32)
    if kind < 0.65:
        return np.array([rng.uniform(90, 180), rng.uniform(150, 215), rng.uniform(180, 240)], np.float32)
    if kind < 0.75:
        return np.array([rng.uniform(170, 235), rng.uniform(130, 190), rng.uniform(100, 165)], np.float32)
    return rng.uniform(0, 255, 3).astype(np.float32)


def waves(rng, low, high):
    """Parallel waves at any angle, in [-1, 1]."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(low, high)
    return np.sin((XS * np.cos(angle) + YS * np.sin(angle)) * np.float32(2 * np.pi / period) + np.float32(rng.uniform(0, 6)))


def cloth(rng, canvas, held):
    """128 x 128 of a cloth, in the light that falls upon the face."""
    pattern = rng.choice(HELD_PATTERNS if held else PATTERNS)
    first, second = colour(rng), colour(rng)
    if pattern == "mottled":
        share = soft(smooth_noise(rng, int(rng.integers(6, 30)), 2.5))
    elif pattern == "stripes":
        share = soft(waves(rng, 4, 30) * np.float32(rng.uniform(2, 12)))
    elif pattern == "dots":
        period, shift = rng.uniform(7, 24), rng.uniform(0, 24, 2)
        x, y = ((XS + shift[0]) % period) / period - 0.5, ((YS + shift[1]) % period) / period - 0.5
        share = soft((np.float32(rng.uniform(0.2, 0.4)) - np.sqrt(x * x + y * y)) * 30).astype(np.float32)
    elif pattern == "print":
        share = soft(smooth_noise(rng, int(rng.integers(10, 40)), 8))
    elif pattern == "gradient":
        share = soft((YS - np.float32(rng.uniform(70, 115))) / np.float32(rng.choice([-1, 1]) * rng.uniform(4, 20)))
    elif pattern == "weave":
        share = 0.5 + 0.25 * (waves(rng, 2.2, 4) + waves(rng, 2.2, 4))
    elif pattern == "checks":
        share = 0.5 * (soft(waves(rng, 8, 24) * 8) + soft(waves(rng, 8, 24) * 8))
    elif pattern == "camouflage":
        share = (soft(smooth_noise(rng, 14, 14)) + 0.5 * soft(smooth_noise(rng, 18, 14))) / 1.5
    else:
        share = np.zeros((SOURCE, SOURCE), np.float32)
    share = share[:, :, None].astype(np.float32)
    return folded(rng, canvas, first * (1 - share) + second * share)


def folded(rng, canvas, texture):
    """The texture with folds and grain, in the face's light."""
    shade = 1 + smooth_noise(rng, int(rng.integers(3, 9)), rng.uniform(0.01, 0.12))
    if rng.random() < 0.4:
        shade = shade + np.float32(rng.uniform(0.02, 0.12)) * waves(rng, 8, 30)
    if rng.random() < 0.6:  # it turns away at the sides
        shade = shade - np.float32(rng.uniform(0, 0.5)) * ((XS - np.float32(rng.normal(64, 8))) / 55) ** 2
    shade = shade * canvas.light ** np.float32(rng.uniform(0, 1)) * np.float32(canvas.level ** rng.uniform(0, 1.2))
    return texture * shade[:, :, None].astype(np.float32) + grain(rng, 3)


def grain(rng, most):
    """Fine noise of all colours alike."""
    return rng.standard_normal((SOURCE, SOURCE, 1), np.float32) * np.float32(rng.uniform(0, most))


def skin(rng, canvas):
    """128 x 128 of skin like the face's own, or another person's."""
    tone = canvas.skin * np.float32(rng.uniform(0.7, 1.2)) + rng.normal(0, 6, 3).astype(np.float32)
    if rng.random() < 0.15:
        tone = np.array([1.0, 0.78, 0.65], np.float32) * np.float32(rng.uniform(70, 235))
    shade = 1 + smooth_noise(rng, int(rng.integers(3, 8)), 0.08)
    return tone * shade[:, :, None] + grain(rng, 4)
