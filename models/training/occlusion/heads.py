"""What is worn on the head, and the hair that is not."""

import numpy as np

from canvas import XS, YS, filled, rounded, smooth_noise, soft
from textures import cloth, folded


def brim(rng, low, high):
    """How deep a hat sits, and how its lower edge bends, for each column."""
    bend = (XS[0] - 64 - rng.normal(0, 5)) ** 2 * rng.normal(0.002, 0.003)
    return rng.uniform(low, high) + bend + (XS[0] - 64) * rng.normal(0, 0.06) + smooth_noise(rng, 4, 0.8)[64]


def hat(rng, canvas, held):
    """A cap, a beanie, a helmet, a band: cloth above an edge over the brows, often with its shadow below."""
    edge = brim(rng, 18, 46)[None]
    alpha = soft((edge - YS) * np.float32(rng.uniform(1, 4))).astype(np.float32)
    if rng.random() < 0.5:
        canvas.tint(soft((edge + np.float32(rng.uniform(3, 22)) - YS) * np.float32(0.6)).astype(np.float32), rng.uniform(0.35, 0.9))
    texture = cloth(rng, canvas, held)
    if rng.random() < 0.5:  # a hem or a peak of another colour
        hem = soft((YS - edge + np.float32(rng.uniform(3, 14))) * 2)[:, :, None]
        texture = texture * (1 - hem) + cloth(rng, canvas, held) * np.float32(rng.uniform(0.5, 1.1)) * hem
    canvas.lay(alpha, texture, worn_on_head=True)


def hood(rng, canvas, held):
    """A hood, a veil, a balaclava's opening: cloth all around the face."""
    rx, ry, cy = rng.uniform(34, 52), rng.uniform(42, 58), rng.uniform(76, 88)
    away = np.sqrt(((XS - 64 - rng.normal(0, 3)) / rx) ** 2 + ((YS - cy) / ry) ** 2) + smooth_noise(rng, 5, 0.03)
    alpha = soft((away - 1) * np.float32(rng.uniform(20, 80))).astype(np.float32)
    if rng.random() < 0.5:
        canvas.tint(soft((away - 0.9) * 18).astype(np.float32), rng.uniform(0.4, 0.9))
    canvas.lay(alpha, cloth(rng, canvas, held), worn_on_head=True)


def hair_colour(rng):
    return np.array([1, rng.uniform(0.75, 0.95), rng.uniform(0.5, 0.9)], np.float32) * np.float32(rng.choice([rng.uniform(5, 60), rng.uniform(60, 230)]))


def strands(rng):
    """Streaks that run down, in [0, 1] about a half."""
    wobble = smooth_noise(rng, 4, 5)
    fine = smooth_noise(rng, int(rng.integers(40, 90)), 0.5)[64]
    return np.clip(0.5 + np.interp(XS + wobble, np.arange(128), fine), 0, 1).astype(np.float32)


def fringe(rng, canvas, _held):
    """Hair over the brow, at times over the eyes. It is nothing that is worn."""
    edge = np.float32(rng.uniform(14, 52)) + smooth_noise(rng, int(rng.integers(4, 14)), rng.uniform(1, 6))[64] + (XS[0] - rng.normal(64, 20)) ** 2 * rng.normal(0.002, 0.004)
    ends = smooth_noise(rng, 60, rng.uniform(0.5, 4))[64]
    alpha = soft((edge[None] + ends[None] - YS) * np.float32(rng.uniform(0.4, 2))).astype(np.float32)
    texture = hair_colour(rng) * (0.5 + strands(rng))[:, :, None]
    canvas.lay(alpha, folded(rng, canvas, texture * canvas.level))


def bald(rng, canvas, _held):
    """Brow and crown as smooth skin up to the picture's edge."""
    edge = brim(rng, 24, 38)[None]
    alpha = soft((edge - YS) / np.float32(rng.uniform(2, 6))).astype(np.float32)
    canvas.lay(alpha, folded(rng, canvas, canvas.skin), hides=0)


def hair_aside(rng, canvas, _held):
    """Long hair over one cheek or both."""
    for side in (-1, 1):
        if rng.random() < 0.6:
            edge = 64 + side * (rng.uniform(26, 52) + smooth_noise(rng, 5, 3)[:, 64])
            alpha = soft(side * (XS - edge[:, None]) * np.float32(rng.uniform(0.4, 2))).astype(np.float32)
            canvas.lay(alpha, folded(rng, canvas, hair_colour(rng) * (0.5 + strands(rng))[:, :, None] * canvas.level))


def turban(rng, canvas, held):
    """Wound cloth whose edges run aslant to a peak over the brow. Never trained on."""
    peak, depth = rng.normal(64, 6), rng.uniform(22, 36)
    shape = rounded([(-10, depth + 26), (peak, depth), (138, depth + 26), (138, -20), (-10, -20)], 1)
    texture = cloth(rng, canvas, held)
    for slope in (-0.5, 0.5):
        texture = texture * (1 - 0.12 * soft(np.sin((YS + slope * XS) / rng.uniform(2, 4)) * 4)[:, :, None])
    canvas.lay(filled(shape, 0.5), texture, worn_on_head=True)


TRAINED = {"hat": hat, "hood": hood}
HELD = {"turban": turban}
HARMLESS = {"fringe": fringe, "bald": bald, "hair aside": hair_aside}
