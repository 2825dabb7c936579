"""LFW View 2 for any embedders with 1 x 3 x 112 x 112 input: accuracy over the ten folds, TAR at FAR 1e-3.

Landmarks by SCRFD-500M at 320 x 320, similarity warp, no flip; images without a detection are counted and embedded from
the picture's middle. LFW is for reporting: nothing is trained on it, chosen by it or stopped by it.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

from align import TEMPLATE, Scrfd, crop
from teacher import normalise

# The landmarks' usual places in a deep-funneled 250 x 250 picture, for images where no face is found.
USUAL = TEMPLATE * 1.0 + (250 - 112) / 2


def read_pairs(path):
    """Ten folds of (first image, second image, mated), as paths relative to the LFW folder."""
    lines = path.read_text().split("\n")
    folds, each = (int(v) for v in lines[0].split())
    rows = [line.split("\t") for line in lines[1:] if line.strip()]
    if len(rows) != folds * each * 2:
        sys.exit(f"evaluate: {path} holds {len(rows)} pairs, not the {folds * each * 2} that its first line says")
    image = "{0}/{0}_{1:04d}.jpg".format
    pairs = []
    for row in rows:
        if len(row) == 3:
            pairs.append((image(row[0], int(row[1])), image(row[0], int(row[2])), True))
        else:
            pairs.append((image(row[0], int(row[1])), image(row[2], int(row[3])), False))
    return [pairs[k * 2 * each : (k + 1) * 2 * each] for k in range(folds)]


def crops(lfw, names, scrfd, cache):
    """The aligned crop of every image; kept in `cache`, since all embedders take the same."""
    if cache and cache.exists():
        stored = np.load(cache)
        if len(stored) == len(names):
            return stored
    detector, out, missed = Scrfd(scrfd), np.empty((len(names), 112, 112, 3), np.uint8), 0
    for k, name in enumerate(names):
        image = cv2.imread(str(lfw / name), cv2.IMREAD_COLOR)
        if image is None:
            sys.exit(f"evaluate: cannot read {lfw / name}")
        rgb = np.ascontiguousarray(image[:, :, ::-1])
        face = detector.best(rgb, central=True)
        missed += face is None
        out[k] = crop(rgb, USUAL if face is None else face[2])
    print(f"evaluate: {len(names)} images, {missed} without a detection")
    if cache:
        np.save(cache, out)
    return out


def embed(path, faces, flip):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    views = (faces, faces[:, :, ::-1]) if flip else (faces,)
    total = sum(np.concatenate([session.run(None, {name: normalise(v[k : k + 1])})[0] for k in range(len(v))]) for v in views)
    return total / np.linalg.norm(total, axis=1, keepdims=True)


def accuracy(scores, mated, threshold):
    return ((scores >= threshold) == mated).mean()


def best_threshold(scores, mated):
    candidates = np.unique(scores)
    order = np.sort(scores[mated]), np.sort(scores[~mated])
    right = (len(order[0]) - np.searchsorted(order[0], candidates)) + np.searchsorted(order[1], candidates)
    return candidates[right.argmax()]


def report(label, vectors, index, folds):
    scores = np.array([[vectors[index[a]] @ vectors[index[b]] for a, b, _ in fold] for fold in folds])
    mated = np.array([[m for *_, m in fold] for fold in folds])
    each = []
    for k in range(len(folds)):
        rest = np.arange(len(folds)) != k
        each.append(accuracy(scores[k], mated[k], best_threshold(scores[rest].ravel(), mated[rest].ravel())))
    one = best_threshold(scores.ravel(), mated.ravel())
    genuine, impostor = scores[mated], np.sort(scores[~mated])[::-1]
    allowed = int(len(impostor) * 1e-3)
    tar = (genuine > impostor[allowed]).mean()
    print(
        f"{label}: View 2 {100 * np.mean(each):.2f} % +- {100 * np.std(each, ddof=1) / np.sqrt(len(each)):.2f} (one best threshold "
        f"{100 * accuracy(scores.ravel(), mated.ravel(), one):.2f} % at {one:.3f}), TAR at FAR 1e-3 {100 * tar:.2f} % "
        f"(N = {mated.sum()} mated, {(~mated).sum()} non-mated); mated {genuine.mean():.3f} +- {genuine.std():.3f}, "
        f"non-mated {impostor.mean():.3f} +- {impostor.std():.3f}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embedders", nargs="+", help="ONNX files; the first is the reference for the cosine, if it is the teacher")
    parser.add_argument("--lfw", type=Path, required=True, help="LFW folder with pairs.txt")
    parser.add_argument("--scrfd", required=True, help="scrfd_500m_bnkps_320.onnx")
    parser.add_argument("--cache", type=Path, help=".npy file to keep the aligned crops in")
    parser.add_argument("--flip", action="store_true", help="add the mirrored face's vector")
    args = parser.parse_args()
    if not (args.lfw / "pairs.txt").exists():
        sys.exit(f"evaluate: no pairs.txt in {args.lfw}")
    cv2.setNumThreads(1)
    folds = read_pairs(args.lfw / "pairs.txt")
    names = sorted({name for fold in folds for pair in fold for name in pair[:2]})
    index = {name: k for k, name in enumerate(names)}
    faces = crops(args.lfw, names, args.scrfd, args.cache)
    first = None
    for path in args.embedders:
        vectors = embed(path, faces, args.flip)
        report(Path(path).name, vectors, index, folds)
        if first is None:
            first = vectors
        else:
            print(f"{Path(path).name}: cosine to {Path(args.embedders[0]).name} on {len(names)} images {(vectors * first).sum(1).mean():.4f}")


if __name__ == "__main__":
    main()
