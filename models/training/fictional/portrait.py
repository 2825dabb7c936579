"""Paints the portrait of a fictional person: a sampled face on a painted head, with hair, neck, clothes and a gate behind.

All shapes are in crop units: the 128 x 128 aligned picture's pixels, eyes at (46, 60) and (81, 60).
"""

from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 360
# Pixels of the portrait for one crop unit: eyes 65 px apart.
SCALE = 1.85
CENTRE = (63.5, 59.5)
EYES_AT = (180.0, 168.0)

HAIR = {
    "black": (22, 19, 19), "dark": (45, 32, 26), "brown": (82, 56, 40), "fair": (160, 124, 82),
    "red": (120, 62, 36), "grey": (112, 110, 108), "white": (168, 165, 160),
}
CLOTHES = [(38, 42, 58), (62, 62, 66), (120, 30, 38), (34, 74, 60), (196, 190, 178), (86, 104, 140), (150, 120, 86),
           (225, 225, 228), (70, 48, 84), (28, 28, 30), (176, 148, 60), (92, 110, 82)]


@dataclass
class Person:
    """What stays the same from capture to capture."""

    face: np.ndarray  # coefficients of the face model
    hair: str
    length: float  # 0 cropped, 1 over the shoulders
    volume: float
    hairline: float
    parting: float
    clothes: tuple
    collar: int
    seed: int


def grid():
    ys, xs = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    return (xs - np.float32(EYES_AT[0])) / np.float32(SCALE) + np.float32(CENTRE[0]), (ys - np.float32(EYES_AT[1])) / np.float32(SCALE) + np.float32(CENTRE[1])


X, Y = grid()


def soft(distance, width=1.0):
    """0 outside to 1 inside over about four widths; the distance is positive inside."""
    return 1 / (1 + cv2.exp(np.clip(-np.asarray(distance, np.float32) / np.float32(width), -30, 30)))


def ellipse(cx, cy, rx, ry):
    return (1 - np.sqrt(((X - cx) / rx) ** 2 + ((Y - cy) / ry) ** 2)) * min(rx, ry)


def noise(rng, cells_x, cells_y, sigma=1.0):
    grid = rng.standard_normal((cells_y, cells_x), np.float32) * np.float32(sigma)
    return cv2.resize(grid, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def over(canvas, colour, mask):
    """Paints `colour` (a triple or a picture) on the canvas (RGBA, not premultiplied) where the mask is."""
    mask = mask[:, :, None]
    canvas[:, :, :3] += (colour - canvas[:, :, :3]) * mask
    canvas[:, :, 3:] += (1 - canvas[:, :, 3:]) * mask


def strands(rng, parting, fineness=260):
    """Light and dark along combed hair: fine across the strands, slow along them. About 0, spread 1."""
    top = np.float32(63.5 + 14 * np.sin(parting))
    angle = cv2.phase(X - top, Y + 55) - np.float32(np.pi / 2)
    angle = np.where(angle > np.pi, angle - 2 * np.pi, angle)
    radius = cv2.magnitude(X - top, Y + 55)
    texture = rng.standard_normal((64, fineness), np.float32)
    texture = cv2.GaussianBlur(texture, (0, 0), sigmaX=0.6, sigmaY=5)
    across = (angle / np.float32(1.6) + 1) / 2 * (fineness - 1) + 3 * np.sin(radius / 23 + np.float32(parting))
    fine = cv2.remap(texture, across.astype(np.float32), np.clip(radius / 4, 0, 63), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return fine / fine.std() + 0.7 * noise(rng, 9, 9)


def skin_like(picture, inside):
    """The picture with skin's colours: the model's odd casts and coloured shadows pulled back to the usual ratio."""
    usual = np.array([1.22, 0.95, 0.80], np.float32)
    light = cv2.transform(picture, np.full((1, 3), 1 / 3, np.float32))[:, :, None]
    ratio = picture / np.maximum(light, 12)
    mean = ratio[60:105, 36:92].reshape(-1, 3).mean(0)
    wanted = usual + 0.3 * (mean - usual)
    ratio = wanted + 0.55 * (ratio - mean)
    weight = inside.astype(np.float32)
    smooth = cv2.GaussianBlur(ratio * weight[:, :, None], (0, 0), 1.6) / (cv2.GaussianBlur(weight, (0, 0), 1.6) + 1e-3)[:, :, None]
    return light * smooth * weight[:, :, None]


def face_texture(model, coefficients):
    """The face at crop scale, 128 x 128 x 3 float, its smooth continuation beyond the face, and the cheeks' colour."""
    inside = model["inside"]
    picture = np.zeros((128, 128, 3), np.float32)
    picture[inside] = np.clip(model["mean"] + coefficients @ model["basis"], 0, 255).reshape(-1, 3)
    picture = skin_like(picture, inside)
    ys, xs = np.mgrid[0:128, 0:128].astype(np.float32)
    known = np.clip(1.15 - np.sqrt(((xs - 63.5) / 42) ** 2 + ((ys - 74) / 50) ** 2), 0, 0.12) / 0.12 * inside
    skin = known * (((ys > 34) & (ys < 112)).astype(np.float32))
    weight = cv2.GaussianBlur(skin, (0, 0), 11) + 1e-4
    around = cv2.GaussianBlur(picture * skin[:, :, None], (0, 0), 11) / weight[:, :, None]
    cheeks = np.median(np.concatenate([picture[84:98, 36:46].reshape(-1, 3), picture[84:98, 82:92].reshape(-1, 3)]), 0)
    trust = np.clip(weight * 6, 0, 1)[:, :, None]
    return picture, around * trust + cheeks * (1 - trust), np.clip(cheeks, 30, 235)


def enlarged(picture):
    """A crop-scale picture at the portrait's scale and place."""
    return cv2.remap(picture, X.astype(np.float32), Y.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


@dataclass
class Body:
    """What is painted once for a person: all but the face, and the hair that falls before it."""

    below: np.ndarray
    hair: np.ndarray
    rim: np.ndarray
    inner: np.ndarray
    pores: np.ndarray


def painted_body(model, person):
    """Everything of the person but the face itself."""
    rng = np.random.default_rng(person.seed)
    canvas = np.zeros((SIDE, SIDE, 4), np.float32)
    _, around, skin = face_texture(model, person.face)
    light = strands(rng, person.parting)
    locks = light[:, :, None]
    colour = np.array(HAIR[person.hair], np.float32)
    hair = np.clip(colour * (1 + 0.13 * locks) + 2.5 * locks, 0, 245)
    middle = np.abs(X - 63.5)

    if person.length > 0.35:  # long hair, behind head and neck
        width = 47 + person.volume + 3 * person.length
        low = 78 + 85 * person.length - 0.006 * middle**2 + 2.5 * light
        sides = np.minimum(width - 3 * np.sin(Y / 19 + person.parting) - 0.0009 * np.clip(Y - 80, 0, None) ** 2 - middle, np.minimum(Y - 50, low - Y))
        behind = np.maximum(ellipse(63.5, 52, width, 60 + person.volume), sides + 0.8 * light)
        over(canvas, hair * 0.7, soft(behind, 1.3))

    # Neck, in the shadow of the chin, and shoulders.
    neck = np.minimum(25 + 0.004 * (Y - 120) ** 2 - middle, Y - 95)
    shade = 0.62 + 0.3 * soft(Y - 136 - 0.006 * middle**2, 4)
    over(canvas, skin * shade[:, :, None] * np.array([1.0, 0.97, 0.95], np.float32), soft(neck, 0.9))
    slope = 143 + 0.20 * middle + 0.0028 * np.clip(middle - 48, 0, None) ** 2.1
    depth_of_collar = (11, 24, 30)[person.collar]
    opening = depth_of_collar * np.clip(1 - (middle / 27) ** (2 if person.collar == 0 else 1.1), 0, 1)
    below_collar = Y - slope - opening
    cloth = np.array(person.clothes, np.float32)
    folds = 1 + 0.10 * noise(rng, 7, 5) + 0.04 * noise(rng, 30, 26) - 0.1 * soft(middle - 72, 6)
    over(canvas, np.clip(cloth * folds[:, :, None], 0, 255), soft(below_collar, 0.8))
    over(canvas, cloth * 0.72, 0.75 * soft(2.0 - np.abs(below_collar - 2.2), 0.6) * soft(33 - middle, 1))
    if person.collar == 2:  # a jacket over a lighter shirt
        shirt = np.minimum(22 - 0.55 * (Y - 150) - middle, below_collar - 1)
        over(canvas, np.clip(cloth * 0.3 + 165, 0, 255), soft(3 - np.abs(shirt - 3), 0.7) * soft(below_collar, 0.8))

    # Ears, then the head: skull and jaw in the face's own colours.
    for side in (-1, 1):
        over(canvas, skin * 0.86, soft(ellipse(63.5 + side * 46, 68, 6.5, 13), 0.8))
        over(canvas, skin * 0.66, 0.6 * soft(ellipse(63.5 + side * 46.5, 68, 2.6, 7), 0.8))
    head = np.maximum(ellipse(63.5, 50, 45.5, 55), ellipse(63.5, 71.5, 43.5, 52))
    rim = (1 - 0.22 * soft(5 - head, 2.2))[:, :, None]
    over(canvas, np.clip(enlarged(around), 0, 255) * rim, soft(head, 0.8))

    # Hair on the head: what lies outside the face's opening, down to the ears or past them.
    front = np.zeros((SIDE, SIDE, 4), np.float32)
    if person.length > 0.02:
        window = ellipse(63.5, 78, 39.5 + 1.5 * (1 - person.length), 78 - person.hairline)
        window = window + 1.3 * np.sin((X - 63.5) / 11 + person.parting) + 0.8 * light
        cap = ellipse(63.5, 52, 46.5 + 0.6 * person.volume, 58 + person.volume) + 0.5 * light
        low = 62 + (10 if person.length <= 0.35 else 100 * person.length) - 0.004 * middle**2 + 2 * light
        region = np.minimum(np.minimum(cap, -window), low - Y)
        if person.length > 0.35:
            falls = np.minimum(7 + 0.6 * person.volume - np.abs(middle - 44), np.minimum(Y - 45, low - 6 - Y))
            region = np.maximum(region, falls + 0.6 * light)
        glow = 1 + 0.3 * np.exp(-(((Y - 12 - 0.01 * middle**2) / 10) ** 2))
        solid = np.float32(1.0 if person.length > 0.12 else 0.75)
        front[:, :, :3] = np.clip(hair * glow[:, :, None], 0, 250)
        front[:, :, 3] = solid * soft(region, 1.1)
    inner = soft(ellipse(63.5, 73, 41.5, 50.5) - 3.0, 2.2) * soft(Y - 33 - 0.004 * middle**2, 3) * soft(head, 0.8)
    pores = 1 + 0.03 * cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE), np.float32), (0, 0), 0.8)[:, :, None]
    return Body(canvas, front, rim, inner, pores)


def figure(model, body, coefficients):
    """The person, RGBA float (colour 0..255, alpha 0..1), upright and facing the camera."""
    canvas = body.below.copy()
    face = enlarged(face_texture(model, coefficients)[0])
    face += 0.4 * (face - cv2.GaussianBlur(face, (0, 0), 2.0))
    over(canvas, np.clip(face * body.pores, 0, 255) * body.rim, body.inner)
    over(canvas, body.hair[:, :, :3], body.hair[:, :, 3])
    return canvas


def depth():
    """How far each place of the portrait stands out towards the camera, crop units: a dome without steep flanks."""
    head = 48 * np.exp(-0.9 * (((X - 63.5) / 52) ** 2 + ((Y - 62) / 66) ** 2))
    nose = 7 * np.exp(-(((X - 63.5) / 9) ** 2) - ((Y - 78) / 13) ** 2)
    return (head + nose).astype(np.float32)


DEPTH = depth()


def turned(canvas, yaw, pitch, roll, scale, shift):
    """The figure with the head turned by yaw and pitch (degrees), then rotated, scaled and shifted in the picture."""
    ys, xs = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    c, s = np.cos(np.radians(roll)) / scale, np.sin(np.radians(roll)) / scale
    dx, dy = xs - EYES_AT[0] - shift[0], ys - EYES_AT[1] - 40 - shift[1]
    tx, ty = c * dx + s * dy + EYES_AT[0], -s * dx + c * dy + EYES_AT[1] + 40
    sin_yaw, cos_yaw = np.sin(np.radians(yaw)), np.cos(np.radians(yaw))
    sin_pitch = np.sin(np.radians(pitch))
    # Below the chin the body does not turn with the head.
    follows = 1 - soft((ty - EYES_AT[1]) / SCALE - 68, 7)
    sx, sy = tx.copy(), ty.copy()
    for _ in range(5):
        z = cv2.remap(DEPTH, sx.astype(np.float32), sy.astype(np.float32), cv2.INTER_LINEAR) * SCALE
        narrow = 1 + (1 / cos_yaw - 1) * follows
        sx = (tx - EYES_AT[0] - z * sin_yaw * follows) * narrow + EYES_AT[0]
        sy = ty - z * sin_pitch * follows
    premultiplied = canvas.copy()
    premultiplied[:, :, :3] *= canvas[:, :, 3:]
    border = cv2.BORDER_REPLICATE
    return cv2.remap(premultiplied, sx.astype(np.float32), sy.astype(np.float32), cv2.INTER_LINEAR, borderMode=border)


def gate(rng, kind, bright=1.0):
    """A hall behind a gate, out of focus: wall, ceiling lights, glass edges, floor; `kind` picks the place."""
    place = np.random.default_rng(7000 + kind)
    small = SIDE // 4
    ys, xs = np.mgrid[0:small, 0:small].astype(np.float32) / small
    picture = np.ones((small, small, 3), np.float32) * (place.uniform(100, 190) + place.normal(0, 3, 3))
    picture *= (1.1 - 0.35 * ys)[:, :, None]

    def paint(mask, colour, opacity):
        picture[:] += (colour - picture) * (mask * opacity)[:, :, None]

    for _ in range(int(place.integers(3, 7))):  # pillars, doors, glass partitions
        x, w = place.uniform(-0.1, 1), place.uniform(0.02, 0.22)
        paint((xs > x) & (xs < x + w), place.uniform(50, 215) + place.normal(0, 5, 3), place.uniform(0.3, 0.9))
    for _ in range(int(place.integers(2, 5))):  # lights
        x, y, w, h = place.uniform(-0.1, 0.9), place.uniform(-0.05, 0.25), place.uniform(0.1, 0.4), place.uniform(0.015, 0.05)
        paint((xs > x) & (xs < x + w) & (ys > y) & (ys < y + h), 252, 1.0)
    paint(ys > place.uniform(0.7, 0.9), place.uniform(60, 140), 0.6)
    for _ in range(int(rng.integers(0, 4))):  # people far off
        x, y, r = rng.uniform(0, 1), rng.uniform(0.4, 0.7), rng.uniform(0.02, 0.045)
        body = ((np.abs(xs - x) < 1.5 * r) & (ys > y)) | (np.hypot(xs - x, ys - y + r) < r)
        paint(body, rng.uniform(20, 120) + rng.normal(0, 12, 3), 0.8)
    picture = cv2.GaussianBlur(picture, (0, 0), place.uniform(1.3, 2.5))
    return np.clip(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) * np.float32(bright), 0, 255)
