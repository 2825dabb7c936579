"""What looks like a cover and hides nothing: shadows, beards, make-up."""

import numpy as np

from canvas import EYES, MOUTH, XS, YS, about, ellipse, filled, rounded, smooth_noise, soft
from heads import hair_colour, strands


def shadow(rng, canvas):
    """A shadow or a patch of light with any edge."""
    kind = rng.random()
    if kind < 0.4:
        t = rng.uniform(0, 2 * np.pi)
        inside = ((XS - about(rng, 64, 30)) * np.cos(t) + (YS - about(rng, 72, 30)) * np.sin(t)) / rng.uniform(1, 12)
    elif kind < 0.7:
        inside = smooth_noise(rng, int(rng.integers(3, 7)), 3) * rng.uniform(1, 6)
    else:  # of a peak or a brow over the eyes, or below the nose
        y, half = rng.choice([54, 96]) + rng.normal(0, 6), rng.uniform(8, 20)
        inside = (half - np.abs(YS - y)) / rng.uniform(2, 6)
    canvas.tint(soft(inside).astype(np.float32), rng.uniform(0.25, 0.8) if rng.random() < 0.8 else rng.uniform(1.2, 2.2))


def beard(rng, canvas):
    """A beard, a moustache or both, about lips that remain to be seen."""
    alpha = np.zeros((128, 128), np.float32)
    if rng.random() < 0.75:
        jaw = np.sqrt(((XS - 64) / rng.uniform(36, 46)) ** 2 + ((YS - rng.uniform(60, 74)) / rng.uniform(44, 58)) ** 2)
        alpha = soft((jaw - rng.uniform(0.62, 0.85)) * 14) * soft((YS - rng.uniform(78, 96) - np.abs(XS - 64) * rng.uniform(-0.35, 0.1)) / 3)
    if rng.random() < 0.75:
        lip = filled(rounded([(40, 104), (50, 90), (64, 87), (78, 90), (88, 104), (76, 97), (64, 95), (52, 97)], 2), rng.uniform(0.8, 2))
        alpha = np.maximum(alpha, lip)
    lips = soft((1 - np.sqrt(((XS - 64) / 16) ** 2 + ((YS - 100) / rng.uniform(5, 7.5)) ** 2)) * 10)
    rough = np.clip(0.75 + smooth_noise(rng, 50, 0.3), 0, 1)
    alpha = (alpha * (1 - lips) * rough * rng.uniform(0.3, 1)).astype(np.float32)
    canvas.lay(alpha, hair_colour(rng) * (0.5 + strands(rng))[:, :, None] * canvas.level, hides=0)


def make_up(rng, canvas):
    """Painted lips, shaded lids, dark rings."""
    if rng.random() < 0.7:
        lips = soft((1 - np.sqrt(((XS - MOUTH[0]) / 17) ** 2 + ((YS - MOUTH[1]) / 7) ** 2)) * 8).astype(np.float32)
        canvas.tint(lips, rng.uniform((0.6, 0.2, 0.2), (1.3, 0.8, 0.9)))
    if rng.random() < 0.7:
        tone = rng.uniform(0.35, 0.95, 3)
        for eye in EYES:
            about_eye = soft((1 - np.sqrt(((XS - eye[0]) / rng.uniform(12, 17)) ** 2 + ((YS - eye[1] + 2) / rng.uniform(6, 11)) ** 2)) * 5)
            canvas.tint((about_eye * (1 - 0.8 * ellipse(eye, (7, 3)))).astype(np.float32), tone)


def collar(rng, canvas):
    """Clothes that end below the mouth."""
    edge = rng.uniform(112, 122) + smooth_noise(rng, 4, 2)[64]
    canvas.lay(soft((YS - edge[None]) * 2).astype(np.float32), rng.uniform(0, 255, 3))


def border(rng, canvas):
    """The end of a picture that lies aslant in the aligned face: black, or any other plain colour."""
    t, away = rng.uniform(0, 2 * np.pi), rng.uniform(26, 62)
    beyond = soft(((XS - 64) * np.cos(t) + (YS - 64) * np.sin(t) - away) * 3).astype(np.float32)
    canvas.lay(beyond, np.zeros(3) if rng.random() < 0.75 else np.full(3, rng.uniform(0, 255)), hides=0)


ALL = (shadow, shadow, beard, make_up, collar, border, border)
