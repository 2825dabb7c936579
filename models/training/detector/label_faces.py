"""Labels aligned face crops: box and five landmarks of each, the mean of two teachers over mirrored and scaled views.

    python label_faces.py --faces DIR --models DIR --out labels.npz

Several crops share one teacher's input as a mosaic, which makes the labelling of 24,000 crops a matter of minutes.
The work is saved every 1,152 crops; run it again to go on.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from common import pictures, read_bgr
from teachers import HeadsOfTwelve, RetinaFace

SIDE = 128
MIRRORED = [1, 0, 2, 4, 3]


def mosaic_labels(teacher, crops, canvas, tiles, scale, mirror):
    """One view of up to tiles² crops: score, box and landmarks of each in the crop's own pixels."""
    cell, side = canvas // tiles, round(SIDE * scale)
    sheet = np.full((canvas, canvas, 3), 127, np.uint8)
    corners = []
    for index, crop in enumerate(crops):
        y, x = (index // tiles) * cell + (cell - side) // 2, (index % tiles) * cell + (cell - side) // 2
        view = cv2.resize(crop[:, ::-1] if mirror else crop, (side, side), interpolation=cv2.INTER_LINEAR)
        sheet[y : y + side, x : x + side] = view
        corners.append((x, y))
    scores, boxes, points = teacher.find(sheet)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    found = []
    for x, y in corners:
        # Only a detection about the crop's middle is its face: the crops' mirrored borders may hold half another.
        near = np.all(np.abs(centres - (x + side / 2, y + side / 2)) < side * 0.2, 1)
        best = np.argmax(np.where(near, scores, -1))
        box = (boxes[best].reshape(2, 2) - (x, y)) * SIDE / side
        kps = (points[best] - (x, y)) * SIDE / side
        if mirror:
            box[:, 0] = SIDE - box[::-1, 0]
            kps[:, 0] = SIDE - kps[:, 0]
            kps = kps[MIRRORED]
        found.append((scores[best] if near[best] else 0.0, box.reshape(4), kps))
    return found


def views(yunet, retina, crops):
    """All views of a run of crops, as (weight, mosaic labels of each crop)."""
    plans = [
        (retina, 640, 3, 1.4, False, 1.0), (retina, 640, 3, 1.4, True, 1.0),
        (retina, 640, 4, 1.15, False, 0.5), (retina, 640, 4, 1.15, True, 0.5),
        (yunet, 320, 2, 1.15, False, 0.5), (yunet, 320, 2, 1.15, True, 0.5),
    ]
    for teacher, canvas, tiles, scale, mirror, weight in plans:
        found = []
        for start in range(0, len(crops), tiles**2):
            found += mosaic_labels(teacher, crops[start : start + tiles**2], canvas, tiles, scale, mirror)
        yield weight, found


def label(yunet, retina, crops):
    """Weighted means over the views: least score, box [4], landmarks [5, 2], and the views' spread in pixels."""
    weights, found = zip(*views(yunet, retina, crops))
    weights = np.array(weights)[:, None] / sum(weights)
    scores = np.array([[one[0] for one in view] for view in found])
    boxes = np.array([[one[1] for one in view] for view in found])
    points = np.array([[one[2] for one in view] for view in found])
    mean = (weights[..., None, None] * points).sum(0)
    spread = np.linalg.norm(points - mean, axis=3).mean((0, 2))
    return scores.min(0), (weights[..., None] * boxes).sum(0), mean, spread


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", required=True, help="folder of aligned 128 x 128 crops")
    parser.add_argument("--models", required=True, help="folder of the teachers' ONNX files")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--seed", type=int, default=3, help="order of the crops, so that a part is a fair sample")
    args = parser.parse_args()
    names = pictures(args.faces, "the face crops")
    names = [names[i] for i in np.random.default_rng(args.seed).permutation(len(names))]
    yunet, retina = HeadsOfTwelve(args.models, "yunet_n_320_320.onnx"), RetinaFace(args.models)
    done = dict(np.load(args.out)) if args.out.is_file() else None
    start = int(done["seen"]) if done else 0
    while start < len(names):
        part = [(name, image) for name in names[start : start + 1152] if (image := read_bgr(name)) is not None]
        crops = [cv2.resize(image, (SIDE, SIDE)) if image.shape[0] != SIDE else image for _, image in part]
        score, box, kps, spread = label(yunet, retina, crops)
        new = {
            "name": np.array([str(name.relative_to(args.faces)) for name, _ in part]),
            "score": score, "box": box, "kps": kps, "spread": spread,
        }
        start = min(start + 1152, len(names))
        done = {k: np.concatenate([done[k], v]) if done else v for k, v in new.items()} | {"seen": start}
        partial = args.out.with_suffix(".part.npz")
        np.savez(partial, **done)
        partial.replace(args.out)
        print(f"{start}/{len(names)} crops, median least score {np.median(done['score']):.2f}, "
              f"median spread {np.median(done['spread']):.2f} px", flush=True)


if __name__ == "__main__":
    main()
