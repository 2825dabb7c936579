"""Compares clearlane's templates with those of ONNX Runtime and OpenCV on the same pictures and models.

    pip install -r benches/peers/requirements-templates.txt
    cargo build --release -p clearlane-embed --example templates
    python benches/peers/templates.py --models MODELS --lfw LFW

Two cosines a picture: through the whole pipeline (each side decodes, scales, detects, aligns and embeds by itself), and
from the same aligned crop. The reference follows InsightFace: letterbox by cv2.resize, SCRFD, a similarity by
scikit-image, cv2.warpAffine.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import cv2
import numpy as np
import onnxruntime
from skimage.transform import SimilarityTransform

REFERENCE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
SIDE = 320


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def landmarks(detector, picture):
    """The landmarks of the most central face, by SCRFD with two anchors a cell."""
    height, width = picture.shape[:2]
    scale = min(SIDE / width, SIDE / height)
    resized = cv2.resize(picture, (round(width * scale), round(height * scale)))
    canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
    canvas[: resized.shape[0], : resized.shape[1]] = resized
    blob = cv2.dnn.blobFromImage(canvas, 1 / 128, (SIDE, SIDE), (127.5, 127.5, 127.5), swapRB=True)
    outputs = [o.reshape(-1, o.shape[-1]) for o in detector.run(None, {detector.get_inputs()[0].name: blob})]
    scores, boxes, points = [], [], []
    for level, stride in enumerate((8, 16, 32)):
        grid = np.stack(np.mgrid[: SIDE // stride, : SIDE // stride][::-1], -1).reshape(-1, 2) * stride
        centres = np.repeat(grid, 2, axis=0).astype(np.float32)
        distances = outputs[3 + level] * stride
        scores.append(outputs[level][:, 0])
        boxes.append(np.hstack([centres - distances[:, :2], centres + distances[:, 2:]]))
        points.append(centres[:, None] + outputs[6 + level].reshape(-1, 5, 2) * stride)
    scores, boxes, points = map(np.concatenate, (scores, boxes, points))
    sizes = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    keep = np.array(cv2.dnn.NMSBoxes(sizes.tolist(), scores.tolist(), 0.5, 0.4)).flatten().astype(int)
    if len(keep) == 0:
        return None
    centres = (boxes[keep, :2] + boxes[keep, 2:]) / 2 / scale
    central = keep[np.argmin(np.linalg.norm(centres - (width / 2, height / 2), axis=1))]
    return points[central] / scale


def embed(embedder, aligned):
    rgb = (aligned[:, :, ::-1].astype(np.float32) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    blob = rgb.transpose(2, 0, 1)[None].astype(np.float32)
    vector = embedder.run(None, {embedder.get_inputs()[0].name: blob})[0][0]
    return vector / np.linalg.norm(vector)


def clearlane(arguments, paths, *flags):
    command = [arguments.binary, arguments.models, arguments.detector, arguments.embedder, *flags]
    done = subprocess.run(command, input="\n".join(paths), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{arguments.binary}: {done.stderr}")
    return [np.array(json.loads(line)["template"]) for line in done.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", required=True, help="folder with scrfd_500m_bnkps_320.onnx and mobilefacenet.onnx")
    parser.add_argument("--lfw", required=True, type=pathlib.Path, help="folder of LFW: NAME/NAME_0001.jpg")
    parser.add_argument("--count", type=int, default=200, help="pictures: the first of every n-th person")
    parser.add_argument("--binary", default="target/release/examples/templates")
    arguments = parser.parse_args()
    arguments.detector, arguments.embedder = "scrfd-500m-320", "mobilefacenet"
    models = pathlib.Path(arguments.models)
    detector, embedder = session(models / "scrfd_500m_bnkps_320.onnx"), session(models / "mobilefacenet.onnx")
    pictures = sorted(arguments.lfw.glob("*/*_0001.jpg"))
    if len(pictures) < arguments.count:
        sys.exit(f"{arguments.lfw} holds {len(pictures)} first pictures, {arguments.count} are wanted")
    pictures = pictures[:: len(pictures) // arguments.count][: arguments.count]

    with tempfile.TemporaryDirectory() as folder:
        expected, crops = [], []
        for i, path in enumerate(pictures):
            picture = cv2.imread(str(path))
            points = landmarks(detector, picture)
            if points is None:
                sys.exit(f"{path}: the reference finds no face")
            matrix = SimilarityTransform.from_estimate(points, REFERENCE).params[:2]
            aligned = cv2.warpAffine(picture, matrix, (112, 112))
            crop = f"{folder}/{i:04}.png"
            cv2.imwrite(crop, aligned)
            crops.append(crop)
            expected.append(embed(embedder, aligned))
        for name, templates in (
            ("whole pipeline", clearlane(arguments, [str(p) for p in pictures])),
            ("same aligned crop", clearlane(arguments, crops, "--aligned")),
        ):
            cosines = np.array([a @ b for a, b in zip(expected, templates, strict=True)])
            print(f"{name}: {len(cosines)} pictures, cosine median {np.median(cosines):.6f}, "
                  f"5th percentile {np.percentile(cosines, 5):.6f}, least {cosines.min():.6f}")


if __name__ == "__main__":
    main()
