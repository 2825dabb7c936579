"""Views of faces: mixtures that make new people out of two, and the camera's changes."""

import cv2
import numpy as np

SIDE = 112
SOURCE = 128


def matched(image, reference):
    """`image` with the reference's mean and spread per colour channel, taken over the middle of the face."""
    a, b = image[32:108, 28:100].reshape(-1, 3), reference[32:108, 28:100].reshape(-1, 3)
    gain = np.clip((b.std(0) + 4) / (a.std(0) + 4), 0.5, 2.0)
    return np.clip((image - a.mean(0)) * gain + b.mean(0), 0, 255).astype(np.float32)


def smooth_noise(rng, cells, sigma):
    """A smooth random field, 128 x 128, from a coarse grid."""
    return cv2.resize(rng.normal(0, sigma, (cells, cells)).astype(np.float32), (SOURCE, SOURCE), interpolation=cv2.INTER_CUBIC)


def line_mask(rng):
    """1 on one side of a line through the face, 0 on the other, softly."""
    angle = rng.choice([0, np.pi / 2, np.pi]) + rng.normal(0, 0.35)
    centre = rng.normal(64, 12, 2)
    ys, xs = np.mgrid[0:SOURCE, 0:SOURCE].astype(np.float32)
    distance = (xs - centre[0]) * np.cos(angle) + (ys - centre[1]) * np.sin(angle)
    return 1 / (1 + np.exp(-distance / rng.uniform(2, 8)))


def mixed(rng, a, b):
    """A person made of two: blended, joined along a soft line, or patched region by region."""
    a = a.astype(np.float32)
    b = matched(b.astype(np.float32), a) if rng.random() < 0.85 else b.astype(np.float32)
    kind = rng.random()
    if kind < 0.35:
        mask = np.full((SOURCE, SOURCE), rng.uniform(0.25, 0.75), np.float32)
    elif kind < 0.75:
        mask = line_mask(rng)
    else:
        mask = 1 / (1 + np.exp(-smooth_noise(rng, int(rng.integers(3, 6)), 4.0)))
    mask = mask[:, :, None].astype(np.float32)
    return a * mask + b * (1 - mask)


def surrounded(rng, face, other):
    """The face with another surrounding: the aligned pictures end in mirrored edges, a camera's do not."""
    ys, xs = np.mgrid[0:SOURCE, 0:SOURCE].astype(np.float32)
    rx, ry = rng.uniform(40, 56), rng.uniform(52, 70)
    r = np.sqrt(((xs - 64) / rx) ** 2 + ((ys - rng.uniform(62, 74)) / ry) ** 2)
    mask = 1 / (1 + np.exp((r - 1) * rng.uniform(8, 50)))
    kind = rng.random()
    if kind < 0.35:
        scale = rng.uniform(0.3, 1.0)
        size = int(SOURCE * scale)
        y, x = rng.integers(0, SOURCE - size + 1, 2)
        back = cv2.resize(other[y : y + size, x : x + size], (SOURCE, SOURCE)).astype(np.float32)
        back = cv2.GaussianBlur(back, (0, 0), rng.uniform(0.5, 6))
    else:
        back = np.empty((SOURCE, SOURCE, 3), np.float32)
        back[:] = rng.uniform(0, 255, 3) if kind < 0.6 else rng.uniform(0, 255)
        cells = int(rng.integers(2, 24))
        back += smooth_noise(rng, cells, rng.uniform(0, 50))[:, :, None]
        if kind > 0.85:  # a dark cap of hair with a lighter ground below it
            hair = 1 / (1 + np.exp((ys - rng.uniform(30, 100)) / rng.uniform(2, 10)))
            back = back * (1 - hair[:, :, None]) + rng.uniform(5, 120) * np.array([1, 0.8, 0.65]) * hair[:, :, None]
    mask = mask[:, :, None]
    return (face * mask + np.clip(back, 0, 255) * (1 - mask)).astype(np.float32)


def placed(rng, face, strong):
    """The 112 x 112 crop: rotated, scaled, shifted, perhaps mirrored, perhaps with the features moved a little."""
    angle = rng.normal(0, 6 if strong else 2) * np.pi / 180
    scale = np.exp(rng.normal(0, 0.06 if strong else 0.02))
    shift = rng.normal(0, 2.5 if strong else 0.8, 2)
    stretch = np.exp(rng.normal(0, 0.04 if strong else 0.0))
    c, s = np.cos(angle) / scale, np.sin(angle) / scale
    ys, xs = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) - (SIDE - 1) / 2
    if rng.random() < 0.5:
        xs = -xs
    map_x = c * stretch * xs - s * ys + (SOURCE - 1) / 2 + shift[0]
    map_y = s * stretch * xs + c * ys + (SOURCE - 1) / 2 + shift[1]
    if rng.random() < 0.5:
        cells, sigma = int(rng.integers(3, 7)), rng.uniform(0.5, 3.0)
        for field in (map_x, map_y):
            field += smooth_noise(rng, cells, sigma)[8:120, 8:120]
    return cv2.remap(face, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def lit(rng, x, strong):
    """Exposure, gamma, contrast, colour cast and a side light."""
    x = np.clip(x, 0, 255) / 255
    k = 1.0 if strong else 0.35
    x = x ** np.exp(rng.normal(0, 0.35 * k))
    gain = np.exp(rng.normal(0, 0.22 * k)) * np.exp(rng.normal(0, 0.08 * k, 3))
    mean = x.mean()
    x = ((x - mean) * np.exp(rng.normal(0, 0.2 * k)) + mean) * gain + rng.normal(0, 0.05 * k)
    if strong and rng.random() < 0.3:
        ys, xs = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
        t = rng.uniform(0, 2 * np.pi)
        x = x * np.exp(rng.uniform(0, 0.8) * (xs * np.cos(t) + ys * np.sin(t)))[:, :, None]
    grey = rng.random()
    if grey < (0.12 if strong else 0.03):
        x = np.repeat(x.mean(2, keepdims=True), 3, 2)
    elif grey < 0.4:
        x = x + (x - x.mean(2, keepdims=True)) * rng.uniform(-0.6, 0.5)
    return np.clip(x * 255, 0, 255).astype(np.float32)


def worn(rng, x):
    """What lens, sensor and codec do: blur, low resolution, noise, JPEG, something in front."""
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.8))
    if rng.random() < 0.2:
        side = int(rng.uniform(32, 90))
        x = cv2.resize(cv2.resize(x, (side, side), interpolation=cv2.INTER_AREA), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.25:
        x = x + rng.normal(0, rng.uniform(1, 10), x.shape)
    if rng.random() < 0.15:
        w, h = rng.integers(12, 60, 2)
        cx, cy = rng.integers(0, SIDE, 2)
        x[max(cy - h // 2, 0) : cy + h // 2, max(cx - w // 2, 0) : cx + w // 2] = rng.uniform(0, 255, 3)
    x = np.clip(x, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        x = cv2.imdecode(cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])[1], cv2.IMREAD_COLOR)
    return x


def view(rng, pixels, chosen):
    """One training picture, uint8 RGB 112 x 112 x 3, from the faces `chosen` (indices into `pixels`)."""
    first, second, third = (pixels[i] for i in rng.choice(chosen, 3))
    face = mixed(rng, first, second) if rng.random() < 0.6 else first.astype(np.float32)
    if rng.random() < 0.5:
        face = surrounded(rng, face, third)
    strong = rng.random() < 0.6
    x = lit(rng, placed(rng, face, strong), strong)
    return worn(rng, x) if rng.random() < 0.7 else np.clip(x, 0, 255).astype(np.uint8)
