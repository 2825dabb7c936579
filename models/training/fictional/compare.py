"""How well embedders tell the fictional people apart: mated scores by kind of capture, and the nearest wrong person."""

import argparse
import csv
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "embedder"))

from align import Scrfd, crop  # noqa: E402
from teacher import normalise  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("embedders", nargs="+", help="ONNX files with 1 x 3 x 112 x 112 input")
    parser.add_argument("--set", type=Path, required=True, help="datasets/fictional")
    parser.add_argument("--scrfd", required=True, help="scrfd_500m_bnkps_320.onnx")
    args = parser.parse_args()
    if not (args.set / "manifest.csv").exists():
        sys.exit(f"compare: no manifest.csv in {args.set}: run generate.py first")
    cv2.setNumThreads(1)
    scrfd, rows, faces, missed = Scrfd(args.scrfd), [], [], {}
    for row in csv.DictReader((args.set / "manifest.csv").open()):
        rgb = np.ascontiguousarray(cv2.imread(str(args.set / row["path"]))[:, :, ::-1])
        found = scrfd.best(rgb)
        if found is None:
            missed[row["kind"]] = missed.get(row["kind"], 0) + 1
            continue
        rows.append(row)
        faces.append(crop(rgb, found[2]))
    print(f"compare: {len(rows)} captures; not found: {missed or 'none'}")
    enrol = [k for k, row in enumerate(rows) if row["kind"] == "enrol"]
    subjects = np.array([rows[k]["subject"] for k in enrol])
    for path in args.embedders:
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        vectors = np.stack([session.run(None, {name: normalise(face[None])})[0][0] for face in faces])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        mated, wrong, unknown = {}, [], []
        for row, vector in zip(rows, vectors):
            scores = vectors[enrol] @ vector
            same = subjects == row["subject"]
            if row["enrolled"] == "no":
                unknown.append(scores.max())
            elif row["kind"] != "enrol":
                mated.setdefault("plain" if row["kind"] == "plain" else row["kind"], []).append(scores[same][0])
                wrong.append(scores[~same].max())
        for kind, scores in sorted(mated.items()):
            print(f"{Path(path).name}: {kind}: N {len(scores)}, mated mean {np.mean(scores):.3f}, least {np.min(scores):.3f}")
        print(f"{Path(path).name}: nearest wrong person of {len(wrong)} probes: mean {np.mean(wrong):.3f}, most {np.max(wrong):.3f}; "
              f"of {len(unknown)} captures of unknown people: mean {np.mean(unknown):.3f}, most {np.max(unknown):.3f}")


if __name__ == "__main__":
    main()
