"""Composes training scenes without end: people at gate distances before all sorts of backgrounds, with exact labels.

    python make_scenes.py --faces DIR --labels labels.npz --backgrounds DIR/train --out DIR --size 192 --shards 24
    python make_scenes.py ... --once --held          # a fixed set of held-out scenes, for the threshold

Shards of scenes are numpy files (`NNNNN-scenes.npy` uint8 BGR [n, size, size, 3], `NNNNN-labels.npy` float32 [n, 4, 15]:
x0 y0 x1 y1, five landmarks, and 1 for a face, -1 for one to be ignored, 0 for none; a box with 0 is a wrong answer of the
detector that the scene was chosen `--against`). The newest `--shards` are kept;
once they are there the script takes only `--share` of a core, and runs until it is ended. It can be ended and run again
at any time. Every twelfth labelled face is held out from training scenes.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from common import pictures, read_bgr, stop
from paint import background, glasses, noise_tiles, person, photographed
from teachers import HeadsOfTwelve

EYES_APART = 35.2
MIRRORED = [1, 0, 2, 4, 3]


class Material:
    """Photographs and cut-out objects without faces, and tiles of noise."""

    def __init__(self, backgrounds, rng):
        files = [file for folder in backgrounds for file in pictures(folder, "the backgrounds")]
        read = [cv2.imread(str(f), cv2.IMREAD_UNCHANGED) for f in files]
        self.photos = [image for image in read if image is not None and image.ndim == 3 and image.shape[2] == 3]
        self.objects = [image for image in read if image is not None and image.ndim == 3 and image.shape[2] == 4]
        if not self.photos:
            stop(f"no readable photograph in {backgrounds}")
        self.tiles = noise_tiles(rng)
        self.grain = rng.normal(size=(640, 640, 3)).astype(np.float32)

    def photo(self, rng):
        return self.photos[rng.integers(len(self.photos))]

    def thing(self, rng):
        return self.objects[rng.integers(len(self.objects))] if self.objects else None


class Stock(Material):
    """The same, and labelled faces that are read when needed."""

    def __init__(self, faces, labels, backgrounds, held, rng):
        super().__init__(backgrounds, rng)
        self.root = Path(faces)
        if not Path(labels).is_file():
            stop(f"no labels at {labels}; run label_faces.py first")
        found = np.load(labels)
        good = (found["score"] > 0.6) & (found["spread"] < 4.0)
        mine = (np.arange(len(good)) % 12 == 11) == held
        self.names, self.boxes, self.points = (found[k][good & mine] for k in ("name", "box", "kps"))
        if len(self.names) == 0:
            stop(f"{labels} holds no usable face")

    def face(self, rng):
        """A crop with box and landmarks, mirrored and relit at will."""
        while True:
            index = rng.integers(len(self.names))
            crop = read_bgr(self.root / str(self.names[index]))
            if crop is not None:
                break
        crop, box, points = cv2.resize(crop, (128, 128)), self.boxes[index].reshape(2, 2).copy(), self.points[index].copy()
        if rng.random() < 0.5:
            crop, points = crop[:, ::-1], points[MIRRORED]
            points[:, 0], box[:, 0] = 128 - points[:, 0], 128 - box[::-1, 0]
        crop = crop.astype(np.float32)
        if rng.random() < 0.3:
            slope = np.linspace(rng.uniform(0.3, 1), rng.uniform(0.8, 1.5), 128)
            crop *= (slope if rng.random() < 0.5 else slope[::-1])[None, :, None]
        crop = crop * rng.uniform(0.6, 1.3) + rng.uniform(-20, 20)
        return np.ascontiguousarray(np.clip(crop, 0, 255)).astype(np.uint8), box, points


def placement(rng, eyes, size, tight):
    """The affine map of a face with its eyes `eyes` pixels apart into a scene, and its centre."""
    scale, turn = eyes / EYES_APART, np.radians(rng.choice([rng.uniform(-25, 25), rng.normal(0, 7)]))
    squeeze, shear = rng.uniform(0.82, 1.05), rng.normal(0, 0.03)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = scale * turned @ np.array([[squeeze, shear], [0, 1]])
    margin = min(size / 2, (1.2 if tight else 1.7) * eyes)
    centre = rng.uniform(margin, size - margin, 2) if margin < size / 2 else size / 2 + rng.normal(0, size * 0.06, 2)
    return np.hstack([linear, (centre - linear @ (64, 68))[:, None]]), centre


def carried(place, box, points):
    """Box (the upright hull of the turned, slightly rounded one) and landmarks in the scene."""
    middle, half = box.mean(0), (box[1] - box[0]) / 2
    t = np.linspace(0, 2 * np.pi, 32)
    outline = middle + half * np.stack([np.cos(t), np.sin(t)], 1)
    outline = outline @ place[:, :2].T + place[:, 2]
    return outline.min(0), outline.max(0), points @ place[:, :2].T + place[:, 2]


def scramble(rng, crop):
    """The crop's pieces in another order: skin and features, but no face."""
    n = int(rng.choice([2, 4, 8]))
    tiles = crop.reshape(n, 128 // n, n, 128 // n, 3).transpose(0, 2, 1, 3, 4).reshape(n * n, 128 // n, 128 // n, 3)
    tiles = tiles[rng.permutation(n * n)]
    return np.ascontiguousarray(tiles.reshape(n, n, 128 // n, 128 // n, 3).transpose(0, 2, 1, 3, 4).reshape(128, 128, 3))


def scene(rng, stock, size, count, decoys):
    """One scene of `count` faces and its labels, with faceless heads and scrambled faces among them if asked."""
    canvas = background(rng, stock, size)
    labels = np.zeros((4, 15), np.float32)
    largest = size * (0.4 if count == 1 else 0.28 if count == 2 else 0.2)
    eyes = np.sort(np.exp(rng.uniform(np.log(7.5), np.log(largest), count)))
    for _ in range(rng.integers(1, 3) if decoys else 0):
        crop = stock.face(rng)[0]
        place, _ = placement(rng, np.exp(rng.uniform(np.log(8), np.log(size * 0.3))), size, True)
        blank = rng.random() < 0.6
        person(rng, stock, canvas, place, crop if blank else scramble(rng, crop), face=not blank)
    centres, used = [], 0
    for apart in eyes:
        crop, box, points = stock.face(rng)
        for _ in range(8):
            place, centre = placement(rng, apart, size, rng.random() < 0.25)
            if all(np.abs(centre - other).max() > 1.5 * (apart + before) for other, before in centres):
                break
        else:
            continue
        centres.append((centre, apart))
        canvas.cover[:] = 0
        person(rng, stock, canvas, place, crop)
        if rng.random() < 0.14:
            glasses(rng, stock, canvas, place, points[:2])
        for row in labels[:used]:
            x0, y0, x1, y1 = np.clip(row[:4], 0, size).astype(int)
            if canvas.cover[y0:y1, x0:x1].size and canvas.cover[y0:y1, x0:x1].mean() > 0.15:
                row[14] = -1
        low, high, kps = carried(place, box, points)
        inside = np.prod(np.clip(np.minimum(high, size) - np.maximum(low, 0), 0, None)) / np.prod(high - low)
        labels[used] = *low, *high, *kps.reshape(10), 1 if inside > 0.75 else -1
        used += 1
    pixels = canvas.pixels
    if rng.random() < 0.08:
        pixels, labels = turned_frame(rng, pixels, labels, used)
    return photographed(rng, stock, pixels), labels


def any_scene(rng, stock, args, detector):
    """A scene with faces, or one without: any, or the hardest of `--tries` for the detector, whose wrong answer row 0 holds."""
    if rng.random() >= args.empty:
        return scene(rng, stock, args.size, rng.choice([1, 2, 3], p=[0.6, 0.26, 0.14]), rng.random() < 0.3)
    decoys, best = rng.random() < 0.4, -1.0
    for _ in range(args.tries if detector else 1):
        pixels, labels = scene(rng, stock, args.size, 0, decoys)
        if detector is None:
            return pixels, labels
        scores, boxes, _ = detector.find(pixels)
        if scores.max() > best:
            best, labels[0, :4] = scores.max(), boxes[scores.argmax()]
            kept = pixels, labels
    return kept


def turned_frame(rng, pixels, labels, used):
    """The whole frame turned a little with black corners, as aligned photographs have them."""
    size = pixels.shape[0]
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-12, 12), rng.uniform(0.85, 1.05))
    pixels = cv2.warpAffine(pixels, turn, (size, size))
    for row in labels[:used]:
        box, kps = row[:4].reshape(2, 2), row[4:14].reshape(5, 2) @ turn[:, :2].T + turn[:, 2]
        middle = turn[:, :2] @ box.mean(0) + turn[:, 2]
        half = (box[1] - box[0]) / 2 * np.sqrt(abs(np.linalg.det(turn[:, :2])))
        row[:14] = *(middle - half), *(middle + half), *kps.reshape(10)
    return pixels, labels


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", required=True)
    parser.add_argument("--labels", required=True)
    parser.add_argument("--backgrounds", required=True, nargs="+")
    parser.add_argument("--against", type=Path, help="a detector exported at --size, for harder face-free scenes")
    parser.add_argument("--tries", type=int, default=8, help="face-free scenes of which the hardest is kept")
    parser.add_argument("--empty", type=float, default=0.16, help="share of face-free scenes")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--shards", type=int, default=24, help="shards kept")
    parser.add_argument("--scenes", type=int, default=512, help="scenes in a shard")
    parser.add_argument("--share", type=float, default=0.2, help="share of a core once all shards are there")
    parser.add_argument("--once", action="store_true", help="end when all shards are there")
    parser.add_argument("--held", action="store_true", help="use the held-out faces")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    stock = Stock(args.faces, args.labels, args.backgrounds, args.held, np.random.default_rng(args.seed))
    detector = HeadsOfTwelve(args.against.parent, args.against.name) if args.against else None
    while True:
        have = sorted(int(p.name[:5]) for p in args.out.glob("*-labels.npy"))
        if args.once and len(have) >= args.shards:
            break
        number = have[-1] + 1 if have else 0
        rng, started = np.random.default_rng([args.seed, number]), time.monotonic()
        pixels, labels = zip(*(any_scene(rng, stock, args, detector) for _ in range(args.scenes)))
        for kind, array in (("scenes", np.stack(pixels)), ("labels", np.stack(labels))):
            partial = args.out / f"{number:05}-{kind}.part.npy"
            np.save(partial, array)
            partial.replace(args.out / f"{number:05}-{kind}.npy")
        for old in have[: max(0, len(have) + 1 - args.shards)]:
            (args.out / f"{old:05}-labels.npy").unlink(missing_ok=True)
            (args.out / f"{old:05}-scenes.npy").unlink(missing_ok=True)
        took = time.monotonic() - started
        print(f"shard {number}: {args.scenes} scenes in {took:.1f} s, {(np.stack(labels)[..., 14] > 0).sum()} faces", flush=True)
        if len(have) + 1 >= args.shards and not args.once:
            time.sleep(took * (1 / args.share - 1))


if __name__ == "__main__":
    main()
