"""Views of faces: mixtures that make new people out of two, and the camera's changes."""

import cv2
import numpy as np

SIDE = 112
SOURCE = 128
YS, XS = np.mgrid[0:SOURCE, 0:SOURCE].astype(np.float32)


def matched(image, reference):
    """`image` with the reference's mean and spread per colour channel, taken over the middle of the face."""
    (am, asd), (bm, bsd) = (cv2.meanStdDev(x[32:108:2, 28:100:2].copy()) for x in (image, reference))
    gain = np.clip((bsd + 4) / (asd + 4), 0.5, 2.0).ravel()
    return np.clip(image * gain.astype(np.float32) + (bm.ravel() - am.ravel() * gain).astype(np.float32), 0, 255)


def soft(x):
    """The logistic function, in single precision."""
    return 1 / (1 + cv2.exp(-x))


def smooth_noise(rng, cells, sigma):
    """A smooth random field, 128 x 128, from a coarse grid."""
    return cv2.resize(rng.normal(0, sigma, (cells, cells)).astype(np.float32), (SOURCE, SOURCE), interpolation=cv2.INTER_CUBIC)


def line_mask(rng):
    """1 on one side of a line through the face, 0 on the other, softly."""
    angle = rng.choice([0, np.pi / 2, np.pi]) + rng.normal(0, 0.35)
    centre = rng.normal(64, 12, 2)
    distance = (XS - np.float32(centre[0])) * np.float32(np.cos(angle)) + (YS - np.float32(centre[1])) * np.float32(np.sin(angle))
    return soft(distance / np.float32(rng.uniform(2, 8)))


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
        mask = soft(smooth_noise(rng, int(rng.integers(3, 6)), 4.0))
    mask = mask[:, :, None].astype(np.float32)
    return a * mask + b * (1 - mask)


def surrounded(rng, face, other):
    """The face with another surrounding: the aligned pictures end in mirrored edges, a camera's do not."""
    rx, ry, cy, steep = (np.float32(rng.uniform(*r)) for r in ((40, 56), (52, 70), (62, 74), (8, 50)))
    mask = soft((1 - cv2.magnitude((XS - 64) / rx, (YS - cy) / ry)) * steep)
    kind = rng.random()
    if kind < 0.35:
        scale = rng.uniform(0.3, 1.0)
        size = int(SOURCE * scale)
        y, x = rng.integers(0, SOURCE - size + 1, 2)
        back = cv2.resize(other[y : y + size, x : x + size], (SOURCE, SOURCE)).astype(np.float32)
        back = cv2.GaussianBlur(back, (0, 0), rng.uniform(0.5, 6))
    else:
        back = np.empty((SOURCE, SOURCE, 3), np.float32)
        back[:] = rng.uniform(0, 255) + (rng.normal(0, 30, 3) if kind < 0.6 else 0)
        cells = int(rng.integers(2, 24))
        back += smooth_noise(rng, cells, rng.uniform(0, 50))[:, :, None]
        if kind > 0.85:  # a dark cap of hair with a lighter ground below it
            hair = soft((np.float32(rng.uniform(30, 100)) - YS) / np.float32(rng.uniform(2, 10)))
            back = back * (1 - hair[:, :, None]) + np.float32(rng.uniform(5, 120)) * np.array([1, 0.8, 0.65], np.float32) * hair[:, :, None]
    mask = mask[:, :, None]
    return face * mask + np.clip(back, 0, 255) * (1 - mask)


def placed(rng, face, strong):
    """The 112 x 112 crop: rotated, scaled, shifted, perhaps mirrored, perhaps with the features moved a little."""
    angle = rng.normal(0, 6 if strong else 2) * np.pi / 180
    scale = np.exp(rng.normal(0, 0.06 if strong else 0.02))
    shift = rng.normal(0, 2.5 if strong else 0.8, 2)
    stretch = np.exp(rng.normal(0, 0.04 if strong else 0.0))
    c, s = np.float32(np.cos(angle) / scale), np.float32(np.sin(angle) / scale)
    ys, xs = YS[:SIDE, :SIDE] - (SIDE - 1) / 2, XS[:SIDE, :SIDE] - (SIDE - 1) / 2
    if rng.random() < 0.5:
        xs = -xs
    map_x = c * np.float32(stretch) * xs - s * ys + np.float32((SOURCE - 1) / 2 + shift[0])
    map_y = s * np.float32(stretch) * xs + c * ys + np.float32((SOURCE - 1) / 2 + shift[1])
    if rng.random() < 0.5:
        cells, sigma = int(rng.integers(3, 7)), rng.uniform(0.5, 3.0)
        for field in (map_x, map_y):
            field += smooth_noise(rng, cells, sigma)[8:120, 8:120]
    return cv2.remap(face, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def grey_of(x):
    return cv2.transform(x, np.full((1, 3), 1 / 3, np.float32))[:, :, None]


def lit(rng, x, strong):
    """Exposure, gamma, contrast, colour cast and a side light."""
    k = 1.0 if strong else 0.35
    x = cv2.pow(np.clip(x, 0, 255) * np.float32(1 / 255), float(np.exp(rng.normal(0, 0.35 * k))))
    gain = (np.exp(rng.normal(0, 0.22 * k)) * np.exp(rng.normal(0, 0.08 * k, 3))).astype(np.float32)
    contrast = np.float32(np.exp(rng.normal(0, 0.2 * k)))
    x = x * (contrast * gain) + (x.mean() * (1 - contrast) * gain + np.float32(rng.normal(0, 0.05 * k)))
    if strong and rng.random() < 0.3:
        t, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.8) / (SIDE / 2)
        field = (XS[:SIDE, :SIDE] - SIDE / 2) * np.float32(slope * np.cos(t)) + (YS[:SIDE, :SIDE] - SIDE / 2) * np.float32(slope * np.sin(t))
        x = x * cv2.exp(field)[:, :, None]
    grey = rng.random()
    if grey < (0.12 if strong else 0.03):
        x = np.repeat(grey_of(x), 3, 2)
    elif grey < 0.4:
        x = x + (x - grey_of(x)) * np.float32(rng.uniform(-0.6, 0.5))
    return np.clip(x * 255, 0, 255)


def worn(rng, x, hidden=0.15):
    """What lens, sensor and codec do: blur, low resolution, noise, JPEG; with the probability `hidden` something in front."""
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.8))
    if rng.random() < 0.2:
        side = int(rng.uniform(32, 90))
        x = cv2.resize(cv2.resize(x, (side, side), interpolation=cv2.INTER_AREA), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.25:
        x = x + rng.standard_normal(x.shape, np.float32) * np.float32(rng.uniform(1, 10))
    if rng.random() < hidden:
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
