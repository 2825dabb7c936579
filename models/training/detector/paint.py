"""Painting of people and backgrounds round aligned face crops.

A crop shows little more than the face, its borders are mirrored. So only the inner face is used; hair, hats, ears, necks
and shoulders are painted about it in the crop's coordinates (128 x 128, eyes 35 px apart at y = 59) and carried into
the scene by one affine map.
"""

import cv2
import numpy as np

SIDE = 128
SKIN_ROWS, SKIN_COLUMNS = slice(66, 92), slice(38, 90)


def noise_tiles(rng):
    """Tiles of fine noise: hair strands (smeared along one axis), cloth and grain, each 512 x 512 about 0."""
    raw = rng.normal(size=(512, 512)).astype(np.float32)
    strands = cv2.blur(raw, (2, 41))
    weave = cv2.GaussianBlur(raw, (0, 0), 1.2)
    clouds = sum(cv2.resize(rng.normal(size=(n, n)).astype(np.float32), (512, 512), interpolation=cv2.INTER_CUBIC) * (8 / n)
                 for n in (8, 16, 32, 64))
    return [tile / tile.std() for tile in (strands, weave, clouds)]


def cut(rng, image, height, width, least=0.25):
    """A random part of a picture, turned and mirrored at will, as float32 of the asked size."""
    rows, columns = image.shape[:2]
    share = rng.uniform(least, 1)
    w = max(8, int(min(columns, rows * width / height) * share))
    h = max(8, int(min(rows, w * height / width)))
    y, x = rng.integers(0, max(rows - h, 0) + 1), rng.integers(0, max(columns - w, 0) + 1)
    part = cv2.resize(image[y : y + h, x : x + w], (width, height), interpolation=cv2.INTER_AREA if w > width else cv2.INTER_LINEAR)
    return (part[:, ::-1] if rng.random() < 0.5 else part).astype(np.float32)


def colour(rng):
    """A colour, grey more often than not in clothes and walls."""
    base = rng.uniform(0, 255) + rng.normal(0, 1, 3) * rng.choice([6, 25, 70])
    return np.clip(base, 0, 255).astype(np.float32)


def hair_colour(rng):
    """Black, brown, fair, red, grey or white, BGR."""
    kinds = [(18, 18, 20), (28, 35, 48), (40, 60, 90), (90, 140, 180), (40, 60, 130), (120, 122, 125), (200, 202, 205)]
    pick = np.array(kinds[rng.choice(len(kinds), p=[0.34, 0.22, 0.14, 0.1, 0.05, 0.1, 0.05])], np.float32)
    return np.clip(pick * rng.uniform(0.6, 1.4) + rng.normal(0, 4, 3), 0, 255).astype(np.float32)


class Texture:
    """What a shape is filled with: a colour, shading across it, and a noise tile or a piece of a photograph."""

    def __init__(self, rng, stock, base, tile, strength, photo=False):
        self.rng, self.base, self.strength = rng, base, strength
        self.tile = stock.tiles[tile]
        self.photo = stock.photo(rng) if photo else None
        self.slope = rng.uniform(-0.5, 0.5, 2)

    def fill(self, height, width):
        if self.photo is not None:
            return cut(self.rng, self.photo, height, width, 0.15)
        grain = max(0.5, min(height, width) / 160)
        need_h, need_w = min(512, int(height / grain) + 1), min(512, int(width / grain) + 1)
        y, x = self.rng.integers(0, 513 - need_h), self.rng.integers(0, 513 - need_w)
        tile = cv2.resize(self.tile[y : y + need_h, x : x + need_w], (width, height), interpolation=cv2.INTER_LINEAR)
        shade = 1 + self.slope[0] * np.linspace(-0.5, 0.5, height)[:, None] + self.slope[1] * np.linspace(-0.5, 0.5, width)
        return self.base * (shade + self.strength * tile).astype(np.float32)[..., None]


class Canvas:
    """A scene in the making: pixels as float32, and how far each of the latest person's pixels are covered."""

    def __init__(self, pixels):
        self.pixels, self.size = pixels, pixels.shape[0]
        self.cover = np.zeros(pixels.shape[:2], np.float32)

    def window(self, points, pad):
        low = np.maximum(np.floor(points.min(0)).astype(int) - pad, 0)
        high = np.minimum(np.ceil(points.max(0)).astype(int) + pad + 1, self.size)
        return (*low, *high) if np.all(high - low > 1) else None

    def blend(self, window, alpha, fill):
        x0, y0, x1, y1 = window
        under = self.pixels[y0:y1, x0:x1]
        under += alpha[..., None] * (fill - under)
        np.maximum(self.cover[y0:y1, x0:x1], alpha, out=self.cover[y0:y1, x0:x1])

    def shape(self, points, place, texture, soft=1.5):
        """A filled polygon given in crop coordinates, its edge blurred by `soft` crop pixels."""
        points = points @ place[:, :2].T + place[:, 2]
        scale = np.sqrt(abs(np.linalg.det(place[:, :2])))
        sigma = max(0.5, soft * scale)
        window = self.window(points, int(2 * sigma) + 1)
        if window is None:
            return
        x0, y0, x1, y1 = window
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(mask, [np.round((points - (x0, y0)) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        mask = cv2.GaussianBlur(mask, (0, 0), sigma).astype(np.float32) / 255
        self.blend(window, mask, np.clip(texture.fill(y1 - y0, x1 - x0), 0, 255))


def blob(rng, x, y, rx, ry, wobble=0.05, power=2.0):
    """A closed outline: superellipse with a few low waves in its radius, in crop coordinates."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = 1 + sum(rng.normal(0, wobble / k) * np.cos(k * t + rng.uniform(0, 6.3)) for k in (2, 3, 4))
    c, s = np.cos(t), np.sin(t)
    return np.stack([x + rx * np.sign(c) * np.abs(c) ** (2 / power) * radius,
                     y + ry * np.sign(s) * np.abs(s) ** (2 / power) * radius], 1)


def fringe(rng, rx, top, line, sides):
    """The hair or hat in front: between the head's outline above and the hairline below."""
    t = np.linspace(np.pi, 2 * np.pi, 24)
    outer = np.stack([64 + rx * np.cos(t), sides + (sides - top) * np.sin(t)], 1)
    inner_x = np.linspace(64 + rx * rng.uniform(0.66, 0.86), 64 - rx * rng.uniform(0.66, 0.86), 16)
    part = rng.normal(0, 14)
    curve = np.abs((inner_x - 64 - part) / rx) ** rng.uniform(1.5, 4)
    inner = np.stack([inner_x, line + (sides - line) * np.clip(curve, 0, 1.2) + rng.normal(0, 1.2, 16)], 1)
    return np.concatenate([outer, inner])


def person(rng, stock, canvas, place, crop, face=True):
    """Paints one person round an aligned crop, or with `face=False` one whose face is smooth skin."""
    skin = crop[SKIN_ROWS, SKIN_COLUMNS].reshape(-1, 3).mean(0).astype(np.float32)
    skin_texture = Texture(rng, stock, skin * rng.uniform(0.6, 1.0), 2, 0.06)
    head_rx, head_ry, head_y = rng.uniform(46, 58), rng.uniform(60, 74), rng.uniform(58, 66)
    hair = Texture(rng, stock, hair_colour(rng), 0, rng.uniform(0.1, 0.4))
    style = rng.choice(["bald", "short", "long", "hat", "scarf"], p=[0.12, 0.5, 0.22, 0.1, 0.06])
    cloth = Texture(rng, stock, colour(rng), 1, rng.uniform(0.02, 0.2), photo=rng.random() < 0.3)
    if style == "long":
        canvas.shape(blob(rng, 64, rng.uniform(75, 110), rng.uniform(56, 74), rng.uniform(80, 110), 0.08), place, hair, 4)
    if rng.random() < 0.92:
        shoulder, slope, neck = rng.uniform(75, 150), rng.uniform(10, 50), rng.uniform(20, 34)
        low, lean = rng.uniform(140, 165), rng.normal(0, 8)
        throat = [(64 - neck, 96), (64 + neck, 96), (64 + neck * 1.1 + lean, low + 22), (64 - neck * 1.1 + lean, low + 22)]
        canvas.shape(np.array(throat, float), place, skin_texture, 2)
        body = [(64 - neck + lean, low - 8), (64 + lean, low + rng.uniform(5, 45)), (64 + neck + lean, low - 8),
                (64 + shoulder + lean, low + slope), (64 + shoulder * 1.15 + lean, 460), (64 - shoulder * 1.15 + lean, 460),
                (64 - shoulder + lean, low + slope)]
        canvas.shape(np.array(body, float), place, cloth, 1.5)
    if style in ("short", "scarf"):
        canvas.shape(blob(rng, 64, head_y - 4, head_rx + rng.uniform(0, 8), head_ry + rng.uniform(-4, 6), 0.06), place,
                     hair if style == "short" else cloth, 2)
    if rng.random() < 0.7:
        for x in (64 - head_rx * 0.95, 64 + head_rx * 0.95):
            canvas.shape(blob(rng, x, rng.uniform(62, 74), rng.uniform(4, 8), rng.uniform(10, 15)), place, skin_texture)
    canvas.shape(blob(rng, 64, head_y, head_rx * 0.93, head_ry * 0.93, 0.02), place, skin_texture, 2.5)
    if face:
        inner_face(rng, canvas, place, crop)
    else:
        canvas.shape(blob(rng, 64, 64, 44, 56, 0.03), place, Texture(rng, stock, skin, 2, rng.uniform(0.02, 0.2)), 6)
    if style == "bald":
        return
    line = {"short": rng.uniform(8, 40), "long": rng.uniform(8, 42), "hat": rng.uniform(16, 42), "scarf": rng.uniform(12, 36)}[style]
    front = hair if style in ("short", "long") else Texture(rng, stock, colour(rng), 1, 0.1)
    top, sides = line - rng.uniform(14, 40), rng.uniform(50, 76) if style != "hat" else line + rng.uniform(4, 18)
    canvas.shape(fringe(rng, head_rx + rng.uniform(-2, 6), min(top, sides - 20), line, sides), place, front, rng.uniform(1, 3))


def inner_face(rng, canvas, place, crop):
    """The crop's own face through a soft mask of varied shape."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    outline = blob(rng, 64, rng.uniform(66, 71), rng.uniform(41, 55), rng.uniform(50, 57), 0.03, rng.uniform(2, 3.2))
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    cv2.rectangle(mask, (0, 0), (SIDE - 1, SIDE - 1), 0, 2)
    mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(1.5, 5))
    corners = np.array([(0, 0), (SIDE, 0), (0, SIDE), (SIDE, SIDE)], float) @ place[:, :2].T + place[:, 2]
    window = canvas.window(corners, 1)
    if window is None:
        return
    x0, y0, x1, y1 = window
    into = place.copy()
    into[:, 2] -= (x0, y0)
    scale = np.sqrt(abs(np.linalg.det(place[:, :2])))
    if scale < 0.5:
        # Warping samples four pixels only: shrink first, so that small faces are not aliased.
        small = max(8, int(SIDE * scale * 1.5))
        crop, mask = (cv2.resize(a, (small, small), interpolation=cv2.INTER_AREA) for a in (crop, mask))
        into[:, :2] *= SIDE / small
    size = (x1 - x0, y1 - y0)
    alpha = cv2.warpAffine(mask, into, size, flags=cv2.INTER_LINEAR).astype(np.float32) / 255
    fill = cv2.warpAffine(crop, into, size, flags=cv2.INTER_LINEAR if scale < 1.2 else cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    canvas.blend(window, alpha, fill.astype(np.float32))


def glasses(rng, stock, canvas, place, eyes):
    """Dark or clear glasses over the eyes, given in crop coordinates."""
    dark = rng.random() < 0.4
    frame = Texture(rng, stock, colour(rng) * 0.4, 1, 0.05)
    rx, ry = rng.uniform(11, 16), rng.uniform(8, 13)
    for x, y in eyes:
        ring = blob(rng, x, y + 2, rx, ry, 0.02, rng.uniform(2, 4))
        if dark:
            canvas.shape(ring, place, frame, 0.5)
        else:
            inner = blob(rng, x, y + 2, rx - 2, ry - 2, 0.0, 2.5)
            canvas.shape(np.concatenate([ring, ring[:1], inner[:1], inner[::-1]]), place, frame, 0.5)
    bridge = np.array([eyes[0] + (rx - 1, 0), eyes[1] - (rx - 1, 0), eyes[1] + (-rx + 1, 3), eyes[0] + (rx - 1, 3)])
    canvas.shape(bridge, place, frame, 0.5)


def background(rng, stock, size):
    """A wall, a gradient, a pattern, a photograph or a clutter of them, float32."""
    kind = rng.choice(["plain", "clouds", "photo", "pattern"], p=[0.2, 0.12, 0.5, 0.18])
    if kind == "photo":
        pixels = cut(rng, stock.photo(rng), size, size, 0.15)
    else:
        texture = Texture(rng, stock, colour(rng), 2 if kind == "clouds" else 1, {"plain": 0.02, "clouds": 0.35, "pattern": 0.1}[kind])
        pixels = texture.fill(size, size)
    if rng.random() < 0.25:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(1, 8))
    pixels = np.clip(pixels, 0, 255).astype(np.float32)
    canvas = Canvas(np.ascontiguousarray(pixels))
    whole = np.array([[1, 0, 0], [0, 1, 0]], float)
    for _ in range(rng.integers(4, 16) if kind == "pattern" else rng.integers(0, 3)):
        clutter(rng, stock, canvas, whole, size)
    return canvas


def clutter(rng, stock, canvas, whole, size):
    """One thing that is no face: a bar, an ellipse, letters, a cut-out object."""
    kind, at = rng.integers(0, 5), rng.uniform(0, size, 2)
    if kind < 2:
        texture = Texture(rng, stock, colour(rng), rng.integers(0, 3), rng.uniform(0, 0.3), photo=rng.random() < 0.3)
        rx, ry = np.exp(rng.uniform(np.log(3), np.log(size / 2), 2))
        outline = blob(rng, *at, rx, ry, 0.05, rng.choice([2, 2, 12]))
        canvas.shape(outline, whole, texture, rng.uniform(0.5, 3))
    elif kind == 2:
        text = "".join(rng.choice(list("ABCDEFGHKLMNOPRSTUVXYZ0123456789aeoiu:.-"), rng.integers(1, 9)))
        mask = np.zeros((size, size), np.uint8)
        cv2.putText(mask, text, (int(at[0]) - 40, int(at[1])), int(rng.integers(0, 8)), rng.uniform(0.3, 2.5), 255,
                    int(rng.integers(1, 4)), cv2.LINE_AA)
        canvas.blend((0, 0, size, size), mask.astype(np.float32) / 255, colour(rng))
    elif kind == 3:
        step, width = rng.uniform(4, 30), rng.uniform(1, 12)
        turn, tone = rng.uniform(0, np.pi), colour(rng).tolist()
        along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
        for i in range(rng.integers(1, 8)):
            middle = at + across * i * step
            a, b = middle - along * size, middle + along * size
            cv2.line(canvas.pixels, tuple(map(int, a)), tuple(map(int, b)), tone, max(1, int(width)), cv2.LINE_AA)
    else:
        thing = stock.thing(rng)
        if thing is None:
            return
        side = np.exp(rng.uniform(np.log(24), np.log(size)))
        scale = side / max(thing.shape[:2])
        thing = cv2.resize(thing, (max(2, int(thing.shape[1] * scale)), max(2, int(thing.shape[0] * scale))), interpolation=cv2.INTER_AREA)
        x, y = (at - np.array(thing.shape[1::-1]) / 2).astype(int)
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + thing.shape[1], size), min(y + thing.shape[0], size)
        if x1 - x0 > 1 and y1 - y0 > 1:
            part = thing[y0 - y : y1 - y, x0 - x : x1 - x].astype(np.float32)
            canvas.blend((x0, y0, x1, y1), part[..., 3] / 255, part[..., :3])


def photographed(rng, stock, pixels):
    """The scene as a camera might give it: light, colour, blur, noise, low resolution, JPEG."""
    size = pixels.shape[0]
    pixels = pixels.astype(np.float32)
    if rng.random() < 0.3:
        x, y = np.meshgrid(*(np.linspace(-1, 1, size),) * 2)
        light = 1 + rng.uniform(-0.6, 0.6) * x + rng.uniform(-0.6, 0.6) * y
        pixels *= np.clip(light, 0.15, 1.8)[..., None].astype(np.float32)
    if rng.random() < 0.12:
        pixels[:] = pixels @ np.float32([[0.114], [0.587], [0.299]])
    pixels *= np.exp(rng.normal(0, 0.08, 3)).astype(np.float32)
    if rng.random() < 0.6:
        mean = pixels.mean()
        pixels = (pixels - mean) * rng.uniform(0.5, 1.4) + mean + rng.uniform(-50, 50)
    if rng.random() < 0.25:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.8))
    elif rng.random() < 0.12:
        length = int(rng.integers(3, 9))
        pixels = cv2.blur(pixels, (length, 1) if rng.random() < 0.5 else (1, length))
    elif rng.random() < 0.15:
        low = int(size * rng.uniform(0.4, 0.9))
        pixels = cv2.resize(cv2.resize(pixels, (low, low), interpolation=cv2.INTER_AREA), (size, size))
    elif rng.random() < 0.3:
        pixels = pixels + rng.uniform(0.3, 1.2) * (pixels - cv2.GaussianBlur(pixels, (0, 0), 1.2))
    if rng.random() < 0.4:
        y, x = rng.integers(0, stock.grain.shape[0] - size, 2)
        pixels = pixels + np.float32(rng.uniform(1, 14)) * stock.grain[y : y + size, x : x + size]
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        curve = 255 * np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.7, 0.7))
        pixels = cv2.LUT(pixels, curve.astype(np.uint8))
    if rng.random() < 0.4:
        pixels = cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))])[1], 1)
    return pixels
