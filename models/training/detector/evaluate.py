"""Measures a detector on held-out scenes, on crops without faces, and on photographs with a person in the centre.

    python evaluate.py scenes --detector FILE --held DIR            # choose the threshold here
    python evaluate.py crops --detector FILE --pictures DIR --threshold T
    python evaluate.py photos --detector FILE --pictures DIR --threshold T [--models DIR --cache FILE]

`--held`: scenes made by make_scenes.py --held --once; crops' `--pictures`: backgrounds.py's `held`; `--models`: the
detector whose landmarks are compared with (SCRFD-2.5G), whose answers on the photographs `--cache` keeps.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from common import folder, letterbox, pictures, read_bgr, stop, suppress
from make_scenes import Material
from paint import background, photographed
from teachers import HeadsOfTwelve, Scrfd

SIZE = 320
LEAST = 0.15


def detections(detector, image):
    """Scores, boxes and landmarks in the picture's own pixels, best first, down to a score of 0.15."""
    canvas, scale = letterbox(image, SIZE)
    scores, boxes, points = detector.find(canvas)
    good = scores > LEAST
    scores, boxes, points = scores[good], boxes[good] / scale, points[good] / scale
    kept = suppress(scores, boxes)
    return scores[kept], boxes[kept], points[kept]


def overlaps(box, boxes):
    """Intersection over union of one box with many."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), 1)
    return common / (np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], 1) - common)


def landmark_error(points, truth):
    """Mean distance of the five landmarks as a share of the true eye distance."""
    return np.linalg.norm(points - truth, axis=1).mean() / np.linalg.norm(truth[0] - truth[1])


def scenes(detector, args):
    """Recall and false answers over thresholds, and landmark errors by size, on held-out composed scenes."""
    faces, wrong = [], []
    for path in sorted(folder(args.held, "the held-out scenes").glob("*-scenes.npy")):
        for image, labels in zip(np.load(path, mmap_mode="r"), np.load(str(path).replace("scenes", "labels"))):
            scores, boxes, points = detections(detector, np.asarray(image))
            explained = np.zeros(len(scores), bool)
            for row in labels[labels[:, 14] != 0]:
                iou = overlaps(row[:4], boxes)
                centres = (boxes[:, :2] + boxes[:, 2:]) / 2
                explained |= (iou > 0.3) | ((row[14] < 0) & np.all((centres > row[:2]) & (centres < row[2:4]), 1))
                if row[14] > 0:
                    truth, hits = row[4:14].reshape(5, 2), np.flatnonzero(iou > 0.5)
                    best = hits[0] if len(hits) else None
                    faces.append((np.linalg.norm(truth[0] - truth[1]), 0.0 if best is None else scores[best],
                                  np.nan if best is None else landmark_error(points[best], truth)))
            wrong.append(scores[~explained].max(initial=0.0))
    if not faces:
        stop(f"no scenes in {args.held}; run make_scenes.py --held --once")
    faces, wrong = np.array(faces), np.array(wrong)
    print(f"{len(wrong)} scenes, {len(faces)} faces")
    for low, high in ((7, 12), (12, 24), (24, 48), (48, 140)):
        part = faces[(faces[:, 0] >= low) & (faces[:, 0] < high)]
        found = [f"{(part[:, 1] >= t).mean():.4f}" for t in (0.3, 0.5, 0.7)]
        print(f"  eyes {low}-{high} px: {len(part)} faces, found at 0.3/0.5/0.7 {found}, "
              f"median landmark error {np.nanmedian(part[:, 2]):.4f}")
    for threshold in np.arange(0.2, 0.9, 0.05):
        print(f"  threshold {threshold:.2f}: found {(faces[:, 1] >= threshold).mean():.4f}, "
              f"scenes with a wrong answer {(wrong >= threshold).mean():.4f}")


def face_free(directory, count, seed):
    """Crops without faces: half cut from photographs, half procedural with pieces of them."""
    rng = np.random.default_rng(seed)
    material = Material([directory], rng)
    files = [image for path in pictures(directory, "the face-free pictures") if (image := read_bgr(path)) is not None]
    for index in range(count):
        if index % 2:
            yield photographed(rng, material, background(rng, material, SIZE).pixels)
            continue
        image = files[(index // 2) % len(files)]
        side = int(rng.uniform(0.2, 1) * min(image.shape[:2]))
        y, x = (rng.integers(0, length - side + 1) for length in image.shape[:2])
        yield image[y : y + side, x : x + side]


def crops(detector, args):
    """Share of face-free crops that are answered."""
    best = np.array([detections(detector, crop)[0].max(initial=0.0) for crop in face_free(args.pictures, args.count, args.seed)])
    for kind, part in (("all", best), ("photographs", best[::2]), ("procedural", best[1::2])):
        shares = ", ".join(f"{(part >= t).mean():.4f} at {t:.2f}" for t in sorted({0.3, 0.4, 0.5, 0.6, 0.7, args.threshold}))
        print(f"{kind}: {len(part)} crops, answered {shares}; the 99.5 % quantile of the best score is {np.quantile(part, 0.995):.3f}")


def compared(models, files, cache):
    """SCRFD-2.5G's best face that holds the centre, for each picture: score and landmarks (noughts without `models`)."""
    score, points = np.zeros(len(files)), np.zeros((len(files), 5, 2))
    if models is None:
        return score, points
    if cache.is_file():
        kept = np.load(cache)
        if list(kept["name"]) == [str(f) for f in files]:
            return kept["score"], kept["points"]
    scrfd = Scrfd(models)
    for index, path in enumerate(files):
        if (image := read_bgr(path)) is not None:
            s, b, p = detections(scrfd, image)
            hits = holding_centre(b, image)
            if len(hits):
                score[index], points[index] = s[hits[0]], p[hits[0]]
    np.savez(cache, name=np.array([str(f) for f in files]), score=score, points=points)
    return score, points


def holding_centre(boxes, image):
    """Indices of the boxes that hold the picture's centre."""
    centre = np.array(image.shape[1::-1]) / 2
    return np.flatnonzero(np.all((boxes[:, :2] <= centre) & (centre <= boxes[:, 2:]), 1))


def photos(detector, args):
    """Share of photographs whose centre a detection holds, and its landmarks' distance to SCRFD's."""
    files = pictures(args.pictures, "the photographs")[:: args.every]
    their_score, their_points = compared(args.models, files, args.cache)
    ours, first, error, missed = np.zeros(len(files)), 0, np.full((len(files), 5), np.nan), []
    for index, path in enumerate(files):
        if (image := read_bgr(path)) is None:
            continue
        scores, boxes, points = detections(detector, image)
        hits = holding_centre(boxes, image)
        if len(hits):
            ours[index], first = scores[hits[0]], first + (hits[0] == 0 and scores[0] >= args.threshold)
            if their_score[index] >= 0.5 and ours[index] >= args.threshold:
                truth = their_points[index]
                error[index] = np.linalg.norm(points[hits[0]] - truth, axis=1) / np.linalg.norm(truth[0] - truth[1])
        if ours[index] < args.threshold:
            missed.append((ours[index], path))
    print(f"{len(files)} photographs at threshold {args.threshold}: {(ours >= args.threshold).mean():.4%} found "
          f"({len(missed)} missed), in {first / len(files):.4%} it is also the best-scored answer")
    print("  found at " + ", ".join(f"{t:.2f} {(ours >= t).mean():.4%}" for t in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)))
    error = error[np.isfinite(error[:, 0])]
    if len(error):
        mean = error.mean(1)
        print(f"  landmarks against SCRFD-2.5G's, share of the eye distance, {len(mean)} faces: median {np.median(mean):.4f}, "
              f"90 % {np.quantile(mean, 0.9):.4f}, by landmark {np.round(np.median(error, 0), 4).tolist()}")
    if args.list_missed:
        for score, path in sorted(missed):
            print(f"  missed: {path} (best {score:.3f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("scenes", "crops", "photos"))
    parser.add_argument("--detector", required=True, type=Path)
    parser.add_argument("--held")
    parser.add_argument("--pictures")
    parser.add_argument("--models")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--every", type=int, default=1, help="take every n-th photograph only")
    parser.add_argument("--list-missed", action="store_true")
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args()
    needed = {"scenes": ("held",), "crops": ("pictures",), "photos": ("pictures",)}[args.what]
    if absent := [name for name in needed if getattr(args, name) is None]:
        stop(f"{args.what} needs --" + " and --".join(absent))
    if (args.models is None) != (args.cache is None):
        stop("--models and --cache go together")
    cv2.setNumThreads(1)
    detector = HeadsOfTwelve(args.detector.parent, args.detector.name)
    {"scenes": scenes, "crops": crops, "photos": photos}[args.what](detector, args)


if __name__ == "__main__":
    main()
