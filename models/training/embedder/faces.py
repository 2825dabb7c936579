"""Reads the folder of aligned faces once: one array of pixels, one of teacher vectors, and the held-out split."""

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np

from teacher import Teacher

HELD_OUT = 1000
# A held-out face must be nobody's near copy: no other face of the set may score above this with it.
NEAREST = 0.5


def read_folder(folder):
    paths = sorted(Path(folder).rglob("*.jpg"))
    if not paths:
        sys.exit(f"faces: no .jpg files under {folder}: pass the folder of aligned 128 x 128 faces with --faces")
    names, pixels, bad = [], np.empty((len(paths), 128, 128, 3), np.uint8), []
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None or image.shape != (128, 128, 3):
            bad.append(path)
            continue
        pixels[len(names)] = image[:, :, ::-1]
        names.append(path.name)
    for path in bad:
        print(f"faces: left out {path}: not a readable 128 x 128 image", file=sys.stderr)
    if len(names) < 2 * HELD_OUT:
        sys.exit(f"faces: only {len(names)} readable faces under {folder}; at least {2 * HELD_OUT} are needed")
    return names, pixels[: len(names)]


def hold_out(names, vectors):
    """Indices of `HELD_OUT` adult faces whose nearest other face scores at most `NEAREST`."""
    nearest = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), 1024):
        block = vectors[start : start + 1024] @ vectors.T
        block[np.arange(len(block)), start + np.arange(len(block))] = -1
        nearest[start : start + 1024] = block.max(1)
    ages = np.array([int(name.split("_")[0]) for name in names])
    candidates = np.flatnonzero((ages >= 16) & (nearest <= NEAREST))
    return np.sort(np.random.default_rng(2025).choice(candidates, HELD_OUT, replace=False)), nearest


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", required=True, help="folder of aligned 128 x 128 faces, AGE_GENDER_ETHNICITY_TIME.jpg")
    parser.add_argument("--teacher", required=True, help="the teacher's ONNX file")
    parser.add_argument("--bank", required=True, help="folder to write to")
    args = parser.parse_args()
    bank = Path(args.bank)
    bank.mkdir(parents=True, exist_ok=True)
    names, pixels = read_folder(args.faces)
    np.save(bank / "pixels.npy", pixels)
    teacher = Teacher(args.teacher, threads=2)
    centre = pixels[:, 8:120, 8:120]
    vectors = np.concatenate([teacher(centre[i : i + 64]) for i in range(0, len(centre), 64)])
    np.save(bank / "vectors.npy", vectors)
    held, nearest = hold_out(names, vectors)
    np.save(bank / "held.npy", held)
    (bank / "names.json").write_text(json.dumps(names))
    print(f"faces: {len(names)} read, {len(held)} held out; nearest other face: median {np.median(nearest):.3f}")


if __name__ == "__main__":
    main()
