"""What is worn or held before the eyes: sunglasses that hide them, glasses that do not, and everything else."""

import cv2
import numpy as np

from canvas import EYES, XS, YS, about, filled, rounded, smooth_noise, soft, stroked
from mouths import hand_at
from textures import cloth, colour


def round_lens(w, h):
    angles = np.linspace(0, 2 * np.pi, 24)[:-1]
    return np.stack([np.cos(angles) * w, np.sin(angles) * h], 1)


def square_lens(w, h):
    return rounded([(-w, -h), (w, -h), (w * 0.9, h), (-w * 0.9, h)], 2)


def wayfarer_lens(w, h):
    return rounded([(-w * 1.1, -h), (w * 0.95, -h * 0.9), (w * 0.8, h * 0.8), (0, h), (-w * 0.8, h * 0.7)], 2)


def cat_lens(w, h):
    return rounded([(-w * 1.25, -h * 1.15), (w * 0.9, -h * 0.7), (w * 0.85, h * 0.6), (0, h), (-w * 0.9, h * 0.5)], 2)


def aviator_lens(w, h):
    return rounded([(-w * 1.05, -h * 0.8), (w * 0.85, -h), (w * 0.75, -h * 0.1), (w * 0.2, h * 0.95), (-w * 0.5, h * 1.15), (-w * 1.05, h * 0.4)], 2)


LENSES = (round_lens, square_lens, wayfarer_lens, cat_lens)
HELD_LENSES = (aviator_lens,)

# Tints of lenses: grey, brown, amber, green, blue, red.
TONES = ((1, 1, 1), (1, 0.8, 0.6), (1.1, 0.8, 0.3), (0.8, 1, 0.8), (0.75, 0.9, 1.2), (1.1, 0.6, 0.6))


def shapes(rng, held):
    """The outlines of both lenses, alike and mirrored, a little out of true."""
    lens = rng.choice(HELD_LENSES if held else LENSES)
    w, h = rng.uniform(12, 17.5), rng.uniform(7.5, 15)
    drop, tilt, apart = rng.normal(1.5, 1.8), rng.normal(0, 0.05), rng.uniform(-1, 2)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    turned = rng.normal(0, 1.5)
    both = []
    for side, eye in zip((1, -1), EYES):
        outline = lens(w, h) * [side, 1] + [-side * apart + turned, drop]
        both.append((outline + eye - [64, 60]) @ turn + [64, 60])
    return both


def frame(rng, canvas, both, width, paint):
    """Rims, bridge and temples."""
    for outline, side in zip(both, (-1, 1)):
        if width > 0:
            canvas.lay(stroked(outline, width, closed=True), paint)
        ends = outline[:, 0].argmin() if side < 0 else outline[:, 0].argmax()
        start = outline[ends] + [0, -2]
        canvas.lay(stroked([start, (64 + side * 64, start[1] + rng.normal(-1, 4))], max(width, 1)), paint)
    inner = [both[0][both[0][:, 0].argmax()], both[1][both[1][:, 0].argmin()]]
    lift = rng.uniform(-6, 0)
    middle = (inner[0] + inner[1]) / 2 + [0, lift - 1]
    canvas.lay(stroked([inner[0] + [0, lift], middle, inner[1] + [0, lift]], max(width, 1)), paint)


def glare(rng, canvas, alpha, strength):
    """What a lens mirrors: a window, a sky, a streak."""
    kind = rng.random()
    if kind < 0.4:
        spot = np.exp(-(((XS - about(rng, 64, 30)) / rng.uniform(2, 10)) ** 2) - ((YS - about(rng, 56, 8)) / rng.uniform(1, 6)) ** 2)
    elif kind < 0.7:
        spot = soft(smooth_noise(rng, int(rng.integers(4, 12)), 2)) * soft((np.float32(about(rng, 58, 6)) - YS) / 3)
    else:
        slant = (XS * 0.5 + YS * rng.normal(0.8, 0.3)) % rng.uniform(18, 40)
        spot = np.exp(-(((slant - 8) / rng.uniform(1, 4)) ** 2))
    alpha = alpha * spot.astype(np.float32) * np.float32(strength)
    canvas.lay(alpha, np.full(3, rng.uniform(170, 255), np.float32) * canvas.level, hides=0.5)


def sunglasses(rng, canvas, held):
    """Dark, coloured or mirrored lenses that let little or nothing of the eyes be seen."""
    both = shapes(rng, held)
    dark = colour(rng) * np.float32(rng.uniform(0.05, 0.45)) if rng.random() < 0.5 else np.full(3, rng.uniform(0, 45), np.float32)
    if rng.random() < 0.12:
        dark = colour(rng)
    tint = np.broadcast_to(dark, (128, 128, 3))
    if rng.random() < 0.5:
        tint = tint + smooth_noise(rng, int(rng.integers(3, 8)), rng.uniform(2, 16))[:, :, None]
    density = np.full((128, 128), rng.uniform(0.7, 1.0), np.float32)
    if rng.random() < 0.4:  # lighter below
        density = density * (1 - np.float32(rng.uniform(0, 0.35)) * soft((YS - np.float32(about(rng, 64, 4))) / 4))
    for outline in both:
        lens = filled(outline, rng.uniform(0, 1.2))
        canvas.lay(lens * density, tint)
        # A lens through which a quarter of the light comes shows no eye.
        canvas.covered = np.maximum(canvas.covered, lens)
    whole = np.maximum(filled(both[0]), filled(both[1]))
    if rng.random() < 0.6:
        glare(rng, canvas, whole, rng.uniform(0.1, 0.8))
    width = rng.choice([0, 1, 2, 3, 4])
    paint = colour(rng) if rng.random() < 0.4 else np.full(3, rng.uniform(0, 50), np.float32)
    frame(rng, canvas, both, width, paint * canvas.level)


def tinted(rng, canvas, held):
    """Lenses of one shade above and another below, through which light comes but no sight: the eyes are hidden as far as they are dense."""
    size, drop = (rng.uniform(0.75, 1), rng.uniform(0, 4)) if rng.random() < 0.3 else (1, 0)
    both = [(outline - outline.mean(0)) * size + outline.mean(0) + [0, drop] for outline in shapes(rng, held)]
    skin = cv2.GaussianBlur(cv2.resize(canvas.image, (32, 32), interpolation=cv2.INTER_AREA), (0, 0), rng.uniform(1.2, 2.5))
    skin = cv2.resize(skin, (128, 128), interpolation=cv2.INTER_LINEAR)
    above = rng.uniform(0.1, 0.8)
    below = min(above * rng.uniform(0.8, 2.5), 0.95)
    fall = soft((YS - np.float32(about(rng, 62, 7))) / np.float32(rng.uniform(2, 8)))[:, :, None]
    tones = np.array(TONES[rng.integers(len(TONES))], np.float32) * rng.uniform(0.85, 1.15, (2, 3)).astype(np.float32)
    lens = skin * (tones[0] * np.float32(above) * (1 - fall) + tones[1] * np.float32(below) * fall)
    if rng.random() < 0.4:
        lens = lens + smooth_noise(rng, int(rng.integers(3, 8)), rng.uniform(2, 20))[:, :, None]
    density = np.float32(rng.uniform(0.75, 1) if rng.random() < 0.75 else rng.uniform(0.2, 0.75))
    # Half of the eye's contrast is an eye that is seen, a quarter of it is none.
    hidden = np.float32(np.clip((density - 0.5) / 0.25, 0, 1))
    for outline in both:
        alpha = filled(outline, rng.uniform(0, 1.2))
        canvas.lay(alpha * density, lens, hides=hidden)
        canvas.covered = np.maximum(canvas.covered, alpha * hidden)
    if rng.random() < 0.6:
        glare(rng, canvas, np.maximum(filled(both[0]), filled(both[1])), rng.uniform(0.1, 0.8) * max(hidden, 0.5))
    paint = colour(rng) if rng.random() < 0.4 else np.full(3, rng.uniform(0, 60), np.float32)
    frame(rng, canvas, both, rng.choice([0, 1, 1, 2, 3, 4]), paint * canvas.level)


def clear_glasses(rng, canvas, _held):
    """Glasses that one sees through: any frame, lenses at most faintly tinted, some glare."""
    both = shapes(rng, False)
    if rng.random() < 0.4:
        for outline in both:
            canvas.lay(filled(outline) * np.float32(rng.uniform(0, 0.18)), colour(rng), hides=0)
    if rng.random() < 0.5:
        glare(rng, canvas, np.maximum(filled(both[0]), filled(both[1])), rng.uniform(0.05, 0.45))
    paint = colour(rng) if rng.random() < 0.4 else np.full(3, rng.uniform(0, 60), np.float32)
    frame(rng, canvas, both, rng.choice([0, 1, 1, 1, 2, 2, 3]), paint * canvas.level)


def band(rng, canvas, held):
    """A blindfold, a sleep mask, goggles, a bar."""
    half, drop = rng.uniform(9, 18), rng.normal(1, 3)
    lean = rng.normal(0, 3)
    points = [(rng.uniform(4, 24), 60 + drop - half + lean), (rng.uniform(104, 124), 60 + drop - half - lean), (rng.uniform(104, 124), 60 + drop + half - lean),
              (rng.uniform(4, 24), 60 + drop + half + lean)]
    canvas.lay(filled(rounded(points, int(rng.integers(0, 3))), rng.uniform(0, 1)), cloth(rng, canvas, held))


def hand(rng, canvas, _held):
    """A hand before one eye or both."""
    hand_at(rng, canvas, EYES[rng.integers(0, 2)] + rng.normal(0, 7, 2) if rng.random() < 0.6 else EYES.mean(0) + rng.normal(0, 8, 2))


def visor(rng, canvas, held):
    """A single lens from temple to temple. Never trained on."""
    top, low = 60 - rng.uniform(11, 16), 60 + rng.uniform(10, 17)
    points = rounded([(16, top + 3), (64, top), (112, top + 3), (108, low - 2), (76, low), (64, low - 8), (52, low), (20, low - 2)], 2)
    lens = np.broadcast_to(colour(rng) * np.float32(rng.uniform(0.1, 0.5)), (128, 128, 3)) + smooth_noise(rng, 5, rng.uniform(2, 25))[:, :, None]
    alpha = filled(points, 0.3)
    canvas.lay(alpha * np.float32(rng.uniform(0.85, 1)), lens)
    canvas.covered = np.maximum(canvas.covered, alpha)
    glare(rng, canvas, alpha, rng.uniform(0.1, 0.7))


TRAINED = {"sunglasses": sunglasses, "tinted": tinted, "band": band, "hand": hand}
HELD = {"aviators": sunglasses, "visor": visor}
