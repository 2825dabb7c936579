"""What a camera makes of a fictional person: plain captures, and hard ones (angle, dim, backlit, covered)."""

import cv2
import numpy as np

from portrait import DEPTH, EYES_AT, SCALE, SIDE, X, Y, ellipse, figure, gate, noise, over, soft, turned

HARD = ("angle", "dim", "backlit", "covered")


def covering(rng, canvas):
    """Sunglasses, a scarf up to the mouth, or a cap low over the brow."""
    colour = rng.uniform(25, 150) + rng.normal(0, 14, 3)
    fabric = np.clip(colour * (1 + 0.08 * noise(rng, 40, 40))[:, :, None], 0, 255)
    kind = rng.integers(3)
    if kind == 0:
        for side in (-1, 1):
            lens = ellipse(63.5 + side * 18, 61, 15, 11)
            over(canvas, np.array([24, 24, 28]), 0.85 * soft(lens, 0.5))
            over(canvas, np.array([10, 10, 10]), soft(0.9 - np.abs(lens), 0.3))
        over(canvas, np.array([10, 10, 10]), soft(1.0 - np.abs(Y - 58), 0.3) * soft(50 - np.abs(X - 63.5), 0.5))
    elif kind == 1:
        across = np.abs(X - 63.5)
        wide = np.where(Y < 128, 46 - 0.010 * np.clip(Y - 100, 0, None) ** 2 + 4, 40)
        scarf = np.minimum(np.minimum(Y - 104 + 0.006 * across**2, 158 - Y), wide - across)
        wound = 0.85 + 0.12 * np.sin((Y - 0.004 * across**2) / 5) - 0.25 * soft(across - wide + 9, 3)
        over(canvas, fabric * wound[:, :, None], soft(scarf, 0.8))
    else:
        cap = np.minimum(ellipse(63.5, 40, 51, 54), 33 - Y - 0.004 * (X - 63.5) ** 2 + 6)
        over(canvas, fabric, soft(cap, 0.8))
        brim = ellipse(63.5, 36, 46, 9)
        over(canvas, fabric * 0.6, soft(brim, 0.8))
        canvas[:, :, :3] *= (1 - 0.35 * soft(58 - Y, 6) * soft(Y - 40, 2))[:, :, None]


def shading(rng, strength):
    """Light from one side on the head's shape, about 1."""
    dx = cv2.Sobel(DEPTH, cv2.CV_32F, 1, 0, ksize=3) / 8 * SCALE
    dy = cv2.Sobel(DEPTH, cv2.CV_32F, 0, 1, ksize=3) / 8 * SCALE
    norm = np.sqrt(dx**2 + dy**2 + 1)
    t = rng.uniform(0, 2 * np.pi)
    light = -(dx * np.cos(t) + 0.6 * dy * np.sin(t)) / norm
    return np.clip(1 + strength * cv2.GaussianBlur(light, (0, 0), 3), 0.35, 1.8)


def camera(rng, picture, blur, grain, quality):
    """Lens blur, grain, and JPEG: the file's bytes."""
    if blur > 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    picture = picture + cv2.GaussianBlur(rng.standard_normal(picture.shape, np.float32) * np.float32(grain), (0, 0), 0.6)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1].tobytes()


def capture(model, person, body, kind, rng):
    """One JPEG of the person: `kind` is "enrol", "plain" or one of `HARD`."""
    calm = kind == "enrol"
    drift = 0.10 if calm else 0.22
    coefficients = person.face + drift * model["spread"] * rng.standard_normal(len(person.face)).astype(np.float32)
    canvas = figure(model, body, coefficients)
    if kind == "covered":
        covering(rng, canvas)
    far = 0.4 if calm else 1.0
    yaw, pitch, roll = rng.normal(0, 4 * far), rng.normal(0, 2.5 * far), rng.normal(0, 3 * far)
    if kind == "angle":
        yaw, pitch, roll = rng.choice([-1, 1]) * rng.uniform(17, 26), rng.uniform(-8, 8), rng.normal(0, 7)
    lit = shading(rng, rng.uniform(0.1, 0.35) * (1 if not calm else 0.5))
    canvas[:, :, :3] *= lit[:, :, None]
    scale = rng.uniform(0.98, 1.04) if calm else rng.uniform(0.96, 1.12)
    shift = rng.normal(0, 4 if calm else 9, 2)
    seen = turned(canvas, yaw, pitch, roll, scale, shift)
    tone = np.exp(rng.normal(0, 0.012 if calm else 0.025, 3))
    light = np.exp(rng.normal(0, 0.05 if calm else 0.13))
    bright, grain, blur, quality = 1.0, rng.uniform(1, 3), rng.uniform(0, 0.7), 76
    back = gate(rng, int(rng.integers(2)) if calm else int(rng.integers(2, 12)))
    alpha = seen[:, :, 3:]
    if kind == "dim":
        light, bright, grain, blur = rng.uniform(0.22, 0.4), rng.uniform(0.2, 0.4), rng.uniform(4, 8), rng.uniform(0.4, 1.1)
    if kind == "backlit":
        light = rng.uniform(0.3, 0.5)
        back = np.clip(back * 0.35 + 175, 0, 255)
    picture = seen[:, :, :3] * (light * tone) + back * bright * (1 - alpha)
    if kind == "backlit":
        veil = cv2.GaussianBlur((1 - alpha[:, :, 0]).astype(np.float32), (0, 0), 22)[:, :, None]
        picture = picture + 70 * veil * alpha
    return camera(rng, picture.astype(np.float32), blur, grain, quality)
