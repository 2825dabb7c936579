"""Fits the face model: principal components of adult, frontal, aligned faces, and where each group of them lies.

A sample of the model is a sum of hundreds of small deviations that thousands of faces share; it is no one's picture.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

SIDE = 128
COMPONENTS = 300
FACES = 5000
AGES = (18, 32, 48, 85)


def face_mask():
    """Where a face, and not the picture's edge, is seen: an ellipse from the hairline to below the chin, 0 to 1."""
    ys, xs = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    r = np.sqrt(((xs - 63.5) / 47) ** 2 + ((ys - 74) / 58) ** 2)
    return np.clip((1.08 - r) / 0.16, 0, 1)


def group_of(name):
    """(gender, ethnicity, age class) of an UTKFace file name, or None for a child or a malformed name."""
    fields = name.split("_")
    if len(fields) != 4 or not all(f.isdigit() for f in fields[:3]):
        return None
    age, gender, ethnicity = map(int, fields[:3])
    classes = [i for i in range(3) if AGES[i] <= age < AGES[i + 1]]
    return (gender, ethnicity, classes[0]) if classes and gender < 2 and ethnicity < 5 else None


def read(folder, rng):
    """Up to `FACES` adult faces, taken evenly from the groups, the least symmetric (turned, shadowed) ones left out."""
    groups = {}
    for path in sorted(Path(folder).rglob("*.jpg")):
        group = group_of(path.name)
        if group:
            groups.setdefault(group, []).append(path)
    if len(groups) < 30:
        sys.exit(f"fit: {folder} holds {len(groups)} of the 30 groups of age, gender and look: is it the aligned UTKFace?")
    each, pixels, labels = FACES // len(groups), [], []
    for group, paths in sorted(groups.items()):
        rng.shuffle(paths)
        found = []
        for path in paths[: 3 * each]:
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None or image.shape != (SIDE, SIDE, 3):
                print(f"fit: left out {path}: not a readable {SIDE} x {SIDE} image", file=sys.stderr)
                continue
            small = cv2.resize(cv2.cvtColor(image[20:124, 18:110], cv2.COLOR_BGR2GRAY), (23, 26)).astype(np.float32)
            detail = cv2.Laplacian(image[40:110, 30:98], cv2.CV_32F).std()
            found.append((np.abs(small - small[:, ::-1]).mean() / (small.std() + 8) + 3 / (detail + 5), image[:, :, ::-1]))
        found.sort(key=lambda f: f[0])
        keep = found[: max(60, len(found) // 2)]
        pixels += [f[1] for f in keep]
        labels += [group] * len(keep)
    return np.stack(pixels), np.array(labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", required=True, help="folder of aligned 128 x 128 faces, AGE_GENDER_ETHNICITY_TIME.jpg")
    parser.add_argument("--model", required=True, help="the .npz to write")
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args()
    pixels, labels = read(args.faces, np.random.default_rng(args.seed))
    inside = face_mask() > 0
    x = pixels[:, inside].reshape(len(pixels), -1).astype(np.float32)
    # Exposure is the capture's, not the person's: each face is brought to the middle's mean brightness, halfway.
    level = x.mean(1, keepdims=True)
    x += 0.5 * (level.mean() - level)
    mean = x.mean(0)
    x -= mean
    values, vectors = np.linalg.eigh(x @ x.T)
    order = np.argsort(values)[::-1][:COMPONENTS]
    basis = (vectors[:, order] / np.sqrt(values[order])).T @ x
    coefficients = x @ basis.T
    found = np.unique(labels, axis=0)
    centres = np.stack([coefficients[(labels == g).all(1)].mean(0) for g in found])
    within = coefficients - centres[[np.flatnonzero((found == label).all(1))[0] for label in labels]]
    np.savez(
        args.model, mean=mean, basis=basis.astype(np.float16), groups=found, centres=centres.astype(np.float32),
        spread=within.std(0).astype(np.float32),
    )
    kept = 1 - ((x - coefficients @ basis) ** 2).mean() / (x**2).mean()
    print(f"fit: {len(pixels)} faces, {COMPONENTS} components hold {100 * kept:.1f} % of the variance")


if __name__ == "__main__":
    main()
