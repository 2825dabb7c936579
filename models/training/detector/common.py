"""What the detector's scripts share: folders and pictures that may be missing, and the way a head's output is read."""

import sys
from pathlib import Path

import cv2
import numpy as np

STRIDES = (8, 16, 32)


def stop(message):
    """Ends the script with one line that says what was wrong and what to do."""
    sys.exit(f"error: {message}")


def folder(path, what):
    """The folder as a Path, or a clear end."""
    path = Path(path)
    if not path.is_dir():
        stop(f"{what}: no folder at {path}; give its place as an argument")
    return path


def pictures(path, what):
    """All JPEG, PNG and WebP files under a folder, sorted by name."""
    found = sorted(p for p in folder(path, what).rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    if not found:
        stop(f"{what}: {path} holds no .jpg, .png or .webp file")
    return found


def read_bgr(path):
    """A picture as uint8 BGR, or None (said on stderr) where it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        print(f"skipped, unreadable: {path}", file=sys.stderr)
    return image


def letterbox(image, size):
    """The picture scaled into the top left of a black square; returns it and the scale used."""
    scale = size / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((size, size, 3), np.uint8)
    canvas[:height, :width] = cv2.resize(image, (width, height), interpolation=method)
    return canvas, scale


def grid(height, width, stride):
    """Column and row of every cell of a head, row by row."""
    columns, rows = np.meshgrid(np.arange(width // stride), np.arange(height // stride))
    return np.stack([columns, rows], -1).reshape(-1, 2).astype(np.float32)


def decode(outputs, height, width):
    """Scores [N], boxes [N, 4] (x0, y0, x1, y1) and landmarks [N, 5, 2] in pixels, from the twelve named tensors."""
    scores, boxes, points = [], [], []
    for stride in STRIDES:
        cells = grid(height, width, stride)
        cls, obj, box, kps = (outputs[f"{kind}_{stride}"][0] for kind in ("cls", "obj", "bbox", "kps"))
        centre, size = (cells + box[:, :2]) * stride, np.exp(box[:, 2:]) * stride
        scores.append(np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1)))
        boxes.append(np.hstack([centre - size / 2, centre + size / 2]))
        points.append((cells[:, None] + kps.reshape(-1, 5, 2)) * stride)
    return np.concatenate(scores), np.concatenate(boxes), np.concatenate(points)


def suppress(scores, boxes, overlap=0.4):
    """Indices that survive greedy non-maximum suppression, best first."""
    order, kept = np.argsort(-scores), []
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), 1)
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        common = np.prod(np.maximum(high - low, 0), 1)
        order = order[common / np.maximum(area[best] + area[order] - common, 1e-6) <= overlap]
    return np.array(kept, int)
