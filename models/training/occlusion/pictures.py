"""One training picture: a face, what is drawn upon it, the camera; with the shares that are covered."""

import numpy as np

import eyes
import harmless
import heads
import mouths
from canvas import Canvas
from views import lit, mixed, placed, surrounded, worn

# What the network says of a face, in the order of its outputs.
OUTPUTS = ("mouth", "eyes", "face", "head")

GROUPS = {"mouth": mouths, "eyes": eyes, "head": heads}


def one_of(rng, things):
    return things[rng.choice(list(things))]


def night(rng, x):
    """Near infrared and grey cameras: one plane, skin and cloth brighter or darker than to the eye."""
    weights = rng.dirichlet([1.5, 1, 0.7]).astype(np.float32)
    grey = x @ weights
    if rng.random() < 0.3:
        grey = 255 * (np.clip(grey, 0, 255) / 255) ** np.float32(rng.uniform(0.4, 0.8))
    return np.repeat(grey[:, :, None], 3, 2)


def face_of(rng, pixels, chosen):
    """A face of the set, or one made of two, with other surroundings as often as not."""
    first, second, third = (pixels[i] for i in rng.choice(chosen, 3))
    face = mixed(rng, first, second) if rng.random() < 0.2 else first.astype(np.float32)
    return surrounded(rng, face, third) if rng.random() < 0.6 else face


def captured(rng, canvas, strong=None):
    """What a camera makes of the canvas: uint8 RGB 112 x 112 x 3, and the covered share of each pixel."""
    strong = rng.random() < 0.6 if strong is None else strong
    four = placed(rng, np.dstack([canvas.image, canvas.covered * 255]), strong)
    x, covered = lit(rng, np.ascontiguousarray(four[:, :, :3]), strong), four[:, :, 3] / 255
    if rng.random() < 0.2:
        x = night(rng, x)
    x = worn(rng, x, hidden=0) if rng.random() < 0.8 else np.clip(x, 0, 255).astype(np.uint8)
    return x, covered


def dress(rng, canvas, real):
    """Draws at random what the training draws, or gives the face what a real one wears; hats first, since glasses lie over them."""
    if rng.random() < 0.45:
        one_of(rng, heads.HARMLESS)(rng, canvas, False)
    for _ in range(rng.integers(0, 3)):
        harmless.ALL[rng.integers(len(harmless.ALL))](rng, canvas)
    if rng.random() < 0.2:
        if rng.random() < 0.35:
            real.put_on(rng, canvas, "hat")
        else:
            one_of(rng, heads.TRAINED)(rng, canvas, False)
    if rng.random() < 0.3:
        # Masks before all else, as in life.
        kind = "surgical" if rng.random() < 0.3 else rng.choice(list(mouths.TRAINED))
        mouths.TRAINED[kind](rng, canvas, False)
    kind = rng.random()
    if kind < 0.08:
        real.put_on(rng, canvas, "sunglasses")
    elif kind < 0.31:
        eyes.TRAINED[rng.choice(list(eyes.TRAINED), p=[0.5, 0.27, 0.12, 0.11])](rng, canvas, False)
    elif kind < 0.34:
        real.put_on(rng, canvas, "seen")
    elif kind < 0.54:
        eyes.clear_glasses(rng, canvas, False)


def picture(rng, pixels, chosen, real):
    """A picture, the shares of `OUTPUTS`, and the covered share of each pixel."""
    canvas = Canvas(face_of(rng, pixels, chosen))
    dress(rng, canvas, real)
    x, covered = captured(rng, canvas)
    return x, canvas.shares(), covered
