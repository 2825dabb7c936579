"""What covers a mouth: masks of many cuts, scarves, hands, things that are held."""

import cv2
import numpy as np

from canvas import MOUTH, SOURCE, XS, YS, about, filled, rounded, smooth_noise, soft, stroked
from textures import cloth, colour, folded, skin


def outline(rng, top, side_top, half, chin, chin_half, peak):
    """The outline of a mask from its edge over the nose down beyond the chin, not quite symmetrical."""
    lean, turn = rng.normal(0, 2.5), rng.normal(0, 3.5)
    left, right = (half * np.exp(rng.normal(0, 0.08)) for _ in range(2))
    points = [
        (64 + turn, top),
        (64 + turn + right * 0.35, top + peak * 0.5 + lean * 0.3),
        (64 + right * 0.72, (top + side_top) / 2 + peak * 0.3 + lean * 0.6),
        (64 + right, side_top + lean),
        (64 + right * 0.95, (side_top + chin) / 2 + lean),
        (64 + chin_half + turn * 0.5, chin - 4),
        (64 + turn * 0.5, chin),
        (64 - chin_half + turn * 0.5, chin - 4),
        (64 - left * 0.95, (side_top + chin) / 2 - lean),
        (64 - left, side_top - lean),
        (64 - left * 0.72, (top + side_top) / 2 + peak * 0.3 - lean * 0.6),
        (64 + turn - left * 0.35, top + peak * 0.5 - lean * 0.3),
    ]
    return np.asarray(points, np.float32)


def height(rng):
    """Where a mask ends above: mostly on the nose, at times under it, at times under the mouth, where it covers nothing."""
    kind = rng.random()
    if kind < 0.72:
        return rng.uniform(63, 78)
    return rng.uniform(80, 90) if kind < 0.9 else rng.uniform(111, 118)


def worn(rng, canvas, points, texture, smooth, blur=None):
    """Lays a mask with its shadow, its hem and the loops about the ears."""
    shape = rounded(points, smooth)
    alpha = filled(shape, rng.uniform(0, 0.8) if blur is None else blur)
    if rng.random() < 0.5:
        shadow = filled(shape + [rng.normal(0, 1), rng.uniform(-2, 2)], rng.uniform(1, 3))
        canvas.tint(shadow, rng.uniform(0.6, 0.95))
    if rng.random() < 0.7:
        band = colour(rng) if rng.random() < 0.3 else np.full(3, rng.choice([20, 230]), np.float32)
        for side in (-1, 1):
            corner = points[3] if side > 0 else points[9]
            for fall in (rng.uniform(-22, -4), rng.uniform(8, 40)):
                far = (64 + side * rng.uniform(56, 70), corner[1] + fall)
                start = corner if fall < 0 else corner + [0, rng.uniform(10, 25)]
                canvas.lay(stroked([start, far], rng.uniform(1, 2.2)), band * canvas.level)
    canvas.lay(alpha, texture)
    if rng.random() < 0.5:
        hem = stroked(shape, rng.uniform(1, 2), closed=True) * np.float32(rng.uniform(0.3, 1))
        canvas.tint(hem * alpha, rng.uniform(0.7, 1.25))


def marked(rng, texture):
    """The texture with what is printed on masks: lines, letters, a painted mouth."""
    for _ in range(rng.integers(1, 5) if rng.random() < 0.25 else 0):
        at, size = np.array([about(rng, 64, 26), about(rng, 98, 14)]), rng.uniform(2, 16)
        kind = rng.random()
        if kind < 0.4:
            mark = stroked([at - [size, rng.normal(0, 2)], at + [size, rng.normal(0, 2)]], rng.uniform(1, 3))
        elif kind < 0.7:
            bend = np.linspace(-1, 1, 9)
            mark = stroked(np.stack([at[0] + bend * size, at[1] + rng.uniform(-6, 6) * (1 - bend**2)], 1), rng.uniform(1, 5))
        else:
            mark = np.zeros((SOURCE, SOURCE), np.uint8)
            text = "".join(rng.choice(list("ABEHIKMNOSTXZ0123-"), rng.integers(1, 7)))
            cv2.putText(mark, text, (int(at[0] - 2 * size), int(at[1])), cv2.FONT_HERSHEY_SIMPLEX, rng.uniform(0.2, 0.9), 255, int(rng.integers(1, 3)), cv2.LINE_AA)
            mark = mark.astype(np.float32) / 255
        texture = texture + (colour(rng) - texture) * (mark * np.float32(rng.uniform(0.2, 1)))[:, :, None]
    return texture


def surgical(rng, canvas, held):
    """Pleated, nearly a rectangle, with a wire over the nose."""
    top = height(rng)
    points = outline(rng, top, top + rng.uniform(2, 16), rng.uniform(33, 48), rng.uniform(114, 134), rng.uniform(14, 34), rng.uniform(0, 6))
    texture = cloth(rng, canvas, held)
    # Few deep pleats or many fine ones, on a quarter straight and sharp: none of them is a lip.
    pleats = rng.integers(0, 5) if rng.random() < 0.6 else rng.integers(5, 13)
    straight, width, depth = rng.random() < 0.4, rng.uniform(0.4, 2.2), rng.uniform(0.04, 0.35)
    for y in np.linspace(top + rng.uniform(3, 12), 120, max(pleats, 1))[:pleats]:
        bend = y if straight else y + rng.normal(0, 1.5) + ((XS - 64) / 40) ** 2 * rng.uniform(-5, 3)
        line = np.exp(-(((YS - bend - (XS - 64) * 0.02) / width) ** 2)).astype(np.float32)
        texture = texture * (1 - line[:, :, None] * np.float32(depth * rng.uniform(0.7, 1.2)))
    texture = marked(rng, texture)
    worn(rng, canvas, points, texture, int(rng.integers(1, 3)))


def cup(rng, canvas, held):
    """FFP2 and cloth masks that stand off the face, with a seam down the middle."""
    top = height(rng)
    points = outline(rng, top, top + rng.uniform(12, 34), rng.uniform(32, 46), rng.uniform(114, 134), rng.uniform(8, 24), rng.uniform(2, 9))
    texture = cloth(rng, canvas, held)
    middle = XS - np.float32(64 + rng.normal(0, 3)) - (YS - 90) * np.float32(rng.normal(0, 0.05))
    ridge = np.exp(-((middle / np.float32(rng.uniform(0.8, 3))) ** 2))[:, :, None]
    texture = texture * (1 + ridge * np.float32(rng.normal(0, 0.2))) * (1 + (np.tanh(middle / 20) * np.float32(rng.normal(0, 0.12)))[:, :, None])
    if rng.random() < 0.25:  # a valve
        valve = ((XS - about(rng, 64, 18)) ** 2 + (YS - about(rng, 103, 6)) ** 2) < rng.uniform(4, 9) ** 2
        texture = np.where(valve[:, :, None], colour(rng) * canvas.level, texture)
    worn(rng, canvas, points, marked(rng, texture), int(rng.integers(1, 4)))


def scarf(rng, canvas, held):
    """A scarf, a collar or a snood that is pulled up, from wherever to the picture's lower edge."""
    top = rng.uniform(66, 98) if rng.random() < 0.75 else rng.uniform(110, 120)
    edge = top + smooth_noise(rng, int(rng.integers(3, 7)), rng.uniform(1, 6))[64] + (XS[0] - 64) ** 2 * rng.normal(0, 0.003)
    canvas.lay(soft((YS - edge[None]) * np.float32(rng.uniform(1, 4))).astype(np.float32), cloth(rng, canvas, held))


def finger(start, direction, length, width):
    across = np.array([-direction[1], direction[0]])
    tip = start + direction * length
    return rounded([start - across * width, start + direction * length * 0.5 - across * width, tip - across * width * 0.8,
                    tip + direction * width * 0.6, tip + across * width * 0.8, start + direction * length * 0.5 + across * width, start + across * width])


def hand_at(rng, canvas, centre):
    """A hand about `centre`: fingers side by side, and the palm that they come from."""
    texture = skin(rng, canvas)
    angle = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-direction[1], direction[0]])
    width = rng.uniform(4, 7)
    palm = centre - direction * rng.uniform(8, 26)
    if rng.random() < 0.8:
        palm_shape = rounded([palm + across * width * 4.2, palm - across * width * 4.2, palm - direction * 60 - across * width * 4, palm - direction * 60 + across * width * 4])
        canvas.tint(filled(palm_shape, 2.5), rng.uniform(0.6, 0.95))
        canvas.lay(filled(palm_shape, 0.6), texture * np.float32(rng.uniform(0.85, 1.1)))
    fingers = int(rng.integers(2, 5))
    for index in range(fingers):
        place = index - (fingers - 1) / 2
        spread = across * place * width * rng.uniform(1.9, 2.3)
        towards = direction + across * place * rng.uniform(0, 0.12)
        shape = finger(palm + spread, towards / np.linalg.norm(towards), rng.uniform(24, 40), width)
        inside = filled(shape, 0.5)
        canvas.tint(filled(shape, 1.6), rng.uniform(0.55, 0.9))
        canvas.lay(inside, texture * np.float32(rng.uniform(0.9, 1.08)))
        canvas.tint(stroked(shape, 1.3, closed=True) * inside, rng.uniform(0.6, 0.95))


def hand(rng, canvas, _held):
    """A hand before the mouth, at the chin or at a cheek."""
    hand_at(rng, canvas, MOUTH + rng.normal(0, 11, 2))


def thing(rng, canvas, held):
    """A microphone, a cup, a telephone, a paper, a fan: anything held before the face."""
    centre = MOUTH + [rng.normal(0, 12), rng.normal(6, 9)]
    w, h = rng.uniform(6, 34), rng.uniform(8, 34)
    if rng.random() < 0.5:
        angles = np.linspace(0, 2 * np.pi, 20)[:-1]
        shape = np.stack([np.cos(angles) * w * 0.7, np.sin(angles) * h * 0.7], 1)
    else:
        shape = rounded(np.array([(-w, -h), (w, -h), (w, h), (-w, h)]), int(rng.integers(0, 3)))
    t = rng.normal(0, 0.4)
    turned = shape @ np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) + centre
    texture = cloth(rng, canvas, held)
    canvas.lay(filled(turned, rng.uniform(0, 1.2)), texture)
    if rng.random() < 0.6:  # what it is held by
        canvas.lay(stroked([centre + [0, h * 0.5], (about(rng, 64, 40), SOURCE + 10)], rng.uniform(4, 16)), texture * np.float32(0.8))


def duckbill(rng, canvas, held):
    """A mask with a seam across and two wide panels, pointed at the sides. Never trained on."""
    top = rng.uniform(66, 76)
    half, chin = rng.uniform(36, 46), rng.uniform(114, 124)
    points = [(64, top), (64 + half * 0.5, top + 5), (64 + half, 88), (64 + half * 0.55, chin - 5), (64, chin), (64 - half * 0.55, chin - 5),
              (64 - half, 88), (64 - half * 0.5, top + 5)]
    texture = cloth(rng, canvas, held)
    below = soft((YS - 94) * 1.5)[:, :, None]
    alpha = filled(rounded(points, 1), 0.4)
    canvas.lay(alpha, texture * (1 - below * np.float32(rng.uniform(0.1, 0.35))))
    canvas.tint(stroked([(64 - half, 88), (64, 95), (64 + half, 88)], 1.5) * alpha, 0.7)


def bandana(rng, canvas, held):
    """A triangle of cloth from the bridge of the nose. Never trained on."""
    top = rng.uniform(66, 80)
    points = [(14, top + 6), (64, top), (114, top + 6), (116, 110), (80, 140), (48, 140), (12, 110)]
    canvas.lay(filled(rounded(points, 1), 0.5), folded(rng, canvas, cloth(rng, canvas, held)))


TRAINED = {"surgical": surgical, "cup": cup, "scarf": scarf, "hand": hand, "thing": thing}
HELD = {"duckbill": duckbill, "bandana": bandana}
