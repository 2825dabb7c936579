#!/usr/bin/env python3
"""A frame of 1280 x 720 to a template: clearlane beside insightface (ONNX Runtime and OpenCV), one machine, one run, in turn.

    pip install --no-deps -r benches/peers/requirements-frame.txt
    cargo build --release -p clearlane-embed --example frame
    python3 benches/peers/frame.py --models DIR

DIR holds scrfd_500m_bnkps_320.onnx, mobilefacenet.onnx and yunet_n_320_320.onnx; both sides run the same files on one
thread. The frames are fictional faces pasted on a canvas, as JPEG (quality 90) and as NV12. clearlane also measures the
face's quality, which its peers do not; that is in its time. OpenCV's FaceDetectorYN is set beside the YuNet of clearlane,
with the same embedder. Rounds go over the peers in turn; the median of a round's runs counts, and the median of rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from insightface.model_zoo.arcface_onnx import ArcFaceONNX
from insightface.model_zoo.scrfd import SCRFD
from insightface.utils import face_align

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 1280, 720


def make_frames(folder):
    """A JPEG and an NV12 file of one fictional traveller, the face some 90 pixels between the eyes."""
    face = cv2.imread(str(ROOT / "datasets/fictional/enrolled/f0000/plain-1.jpg"))
    random = np.random.default_rng(1)
    blobs = random.integers(60, 160, (9, 16, 3), dtype=np.uint8)
    canvas = cv2.resize(blobs, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    canvas[110:610, 400:900] = cv2.resize(face, (500, 500), interpolation=cv2.INTER_CUBIC)
    noisy = canvas.astype(np.float32) + random.normal(0, 3, canvas.shape)
    canvas = np.clip(noisy, 0, 255).astype(np.uint8)
    jpeg, nv12 = folder / "frame.jpg", folder / "frame.nv12"
    cv2.imwrite(str(jpeg), canvas, [cv2.IMWRITE_JPEG_QUALITY, 90])
    planes = cv2.cvtColor(canvas, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    pixels = WIDTH * HEIGHT
    chroma = planes[pixels:].reshape(2, -1).T
    nv12.write_bytes(planes[:pixels].tobytes() + np.ascontiguousarray(chroma).tobytes())
    return jpeg, nv12


def session(file):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


class Python:
    """insightface's recogniser behind its own SCRFD, or behind OpenCV's YuNet."""

    def __init__(self, models, yunet):
        embedder = models / "mobilefacenet.onnx"
        self.recogniser = ArcFaceONNX(str(embedder), session(embedder))
        if yunet:
            self.yunet = cv2.FaceDetectorYN.create(str(models / "yunet_n_320_320.onnx"), "", (320, 320), 0.8, 0.3)
        else:
            self.yunet = None
            detector = models / "scrfd_500m_bnkps_320.onnx"
            self.scrfd = SCRFD(str(detector), session(detector))

    def landmarks(self, frame):
        if self.yunet is None:
            return self.scrfd.detect(frame, max_num=1)[1][0]
        scale = 320 / WIDTH
        canvas = np.zeros((320, 320, 3), np.uint8)
        canvas[: HEIGHT * 320 // WIDTH] = cv2.resize(frame, (320, HEIGHT * 320 // WIDTH))
        return self.yunet.detect(canvas)[1][0, 4:14].reshape(5, 2) / scale

    def run(self, file, runs):
        raw = np.frombuffer(file.read_bytes(), np.uint8)
        stages = []
        for _ in range(runs + runs // 10 + 1):
            times = [time.perf_counter()]
            if file.suffix == ".nv12":
                frame = cv2.cvtColor(raw.reshape(HEIGHT * 3 // 2, WIDTH), cv2.COLOR_YUV2BGR_NV12)
            else:
                frame = cv2.imdecode(raw, cv2.IMREAD_COLOR)
            times.append(time.perf_counter())
            landmarks = self.landmarks(frame)
            times.append(time.perf_counter())
            aligned = face_align.norm_crop(frame, landmarks)
            times.append(time.perf_counter())
            template = self.recogniser.get_feat(aligned).flatten()
            template / np.linalg.norm(template)
            times.append(time.perf_counter())
            stages.append([*(1e3 * np.diff(times)), 1e3 * (times[-1] - times[0])])
        medians = np.median(stages[-runs:], axis=0)
        return dict(zip(("read", "detect", "align", "embed", "all"), map(float, medians)))


class Clearlane:
    """The frame example in a process of its own."""

    def __init__(self, example, models, detector):
        self.command = [example, models, detector, "mobilefacenet"]

    def run(self, file, runs):
        done = subprocess.run([*self.command, file, str(runs)], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=os.environ.get("CLEARLANE_MODELS"), required="CLEARLANE_MODELS" not in os.environ)
    parser.add_argument("--example", type=Path, default=ROOT / "target/release/examples/frame")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)

    pairs = {
        "SCRFD-500M": (Clearlane(arguments.example, arguments.models, "scrfd-500m-320"), "insightface", Python(arguments.models, yunet=False)),
        "YuNet": (Clearlane(arguments.example, arguments.models, "yunet-320"), "FaceDetectorYN", Python(arguments.models, yunet=True)),
    }
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for file in make_frames(Path(folder)):
            for detector, (clearlane, peer, python) in pairs.items():
                rounds = [(clearlane.run(file, arguments.runs), python.run(file, arguments.runs)) for _ in range(arguments.rounds)]
                ours, theirs = ({stage: statistics.median(side[stage] for side in sides) for stage in sides[0]} for sides in zip(*rounds))
                ratio = theirs["all"] / ours["all"]
                results.append({"frame": file.suffix[1:], "detector": detector, "clearlane": ours, peer: theirs, "ratio": ratio})
                print(f"{file.suffix[1:]}, {detector}: {ratio:.2f} times the speed of {peer}", flush=True)
                for name, stages in (("clearlane", ours), (peer, theirs)):
                    print(f"  {name:<15}" + ", ".join(f"{stage} {ms:.2f}" for stage, ms in stages.items()), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
