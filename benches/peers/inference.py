#!/usr/bin/env python3
"""clearlane's inference beside ONNX Runtime and tract: the same models, one machine, one run, in turn.

    pip install -r benches/peers/requirements-inference.txt
    cargo build --release -p clearlane-infer --example bench
    python3 benches/peers/inference.py --models DIR --threads 1 --out inference-peers.json

DIR holds the models under the names below; those that are missing are left out, and said so. An IResNet-50 with random
weights is made there on the first run (its accuracy does not matter, its time does). Rounds go over the peers in turn, so
that a slow spell of the machine does not fall on one alone; of each round's runs the median counts, and of all rounds
the median of those. One image at a time, 32-bit floats; with --faces FOLDER, a folder of aligned faces, MobileFaceNet
also as ONNX Runtime quantises it on them to bytes (QDQ, U8S8), the same file for both.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import onnxruntime

from iresnet import export_iresnet50
from quantised import quantise

ROOT = Path(__file__).resolve().parents[2]

# Name, file, channels, height, width, runs a round.
MODELS = [
    ("MobileFaceNet", "mobilefacenet.onnx", 3, 112, 112, 60),
    ("MobileFaceNet, int8", "mobilefacenet-int8.onnx", 3, 112, 112, 100),
    ("IResNet-50", "iresnet50.onnx", 3, 112, 112, 6),
    ("SCRFD-500M at 320", "scrfd_500m_bnkps_320.onnx", 3, 320, 320, 50),
    ("YuNet at 320", "yunet_n_320_320.onnx", 3, 320, 320, 60),
    ("SCRFD-2.5G at 320", "scrfd_2.5g_bnkps.onnx", 3, 320, 320, 15),
    ("RetinaFace-MobileNet-0.25 at 640", "retinaface_mnet025_640.onnx", 3, 640, 640, 12),
    ("MiniFASNet v2", "minifasnet_v2_2.7_80.onnx", 3, 80, 80, 100),
    # timm's, by torch.onnx.export(timm.create_model(NAME, img_size=112), …, dynamo=False).
    ("ViT-tiny at 112", "timm_vit_tiny_patch16_224.onnx", 3, 112, 112, 30),
    ("EdgeNeXt-XXS at 112", "timm_edgenext_xx_small.onnx", 3, 112, 112, 60),
    ("XCiT-nano at 112", "timm_xcit_nano_12_p16_224.onnx", 3, 112, 112, 40),
    ("MobileViT-XXS at 128", "timm_mobilevit_xxs.onnx", 3, 128, 128, 40),
    ("GhostNet at 112", "timm_ghostnet_100.onnx", 3, 112, 112, 60),
]


class OnnxRuntime:
    """A session on so many threads."""

    name = f"ONNX Runtime {onnxruntime.__version__}"

    def __init__(self, file, shape, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.feed = {self.session.get_inputs()[0].name: np.random.default_rng(1).random(shape, dtype=np.float32)}

    def median_ms(self, runs):
        times = []
        for run in range(runs + runs // 10 + 1):
            start = time.perf_counter()
            self.session.run(None, self.feed)
            times.append((time.perf_counter() - start) * 1e3)
        return statistics.median(times[-runs:])


class Clearlane:
    """The bench example in a process of its own."""

    def __init__(self, bench, file, shape, threads, path):
        self.command = [bench, file, *map(str, shape[1:]), path, "1"]
        self.threads = str(threads)

    def median_ms(self, runs):
        done = subprocess.run([*self.command, str(runs), self.threads], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)["p50_ms"]


def peers_of(bench, file, shape, threads, with_tract):
    peers = {"clearlane": Clearlane(bench, file, shape, threads, "auto"), OnnxRuntime.name: OnnxRuntime(file, shape, threads)}
    if with_tract and threads == 1:
        peers["tract"] = Clearlane(bench, file, shape, threads, "reference")
    return peers


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=os.environ.get("CLEARLANE_MODELS"), required="CLEARLANE_MODELS" not in os.environ)
    parser.add_argument("--work", type=Path, default=Path("."), help="where the IResNet-50 and the quantised MobileFaceNet are kept")
    parser.add_argument("--faces", type=Path, help="aligned faces to quantise MobileFaceNet on")
    parser.add_argument("--bench", type=Path, default=ROOT / "target/release/examples/bench")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tract", action="store_true", help="measure tract as well")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()

    export_iresnet50(arguments.work / "iresnet50.onnx")
    quantised = arguments.work / "mobilefacenet-int8.onnx"
    if arguments.faces and not quantised.exists():
        quantise(arguments.models / "mobilefacenet.onnx", arguments.faces, quantised)
    results = []
    for name, file, channels, height, width, runs in MODELS:
        found = [folder / file for folder in (arguments.models, arguments.work) if (folder / file).exists()]
        if not found:
            print(f"{name}: left out, {file} is not there")
            continue
        shape = (1, channels, height, width)
        peers = peers_of(str(arguments.bench), str(found[0]), shape, arguments.threads, arguments.tract)
        rounds = {peer: [] for peer in peers}
        for _ in range(arguments.rounds):
            for peer, runner in peers.items():
                rounds[peer].append(runner.median_ms(runs))
        medians = {peer: statistics.median(times) for peer, times in rounds.items()}
        ratio = medians[OnnxRuntime.name] / medians["clearlane"]
        results.append({"model": name, "threads": arguments.threads, "median_ms": medians, "rounds_ms": rounds, "ratio": ratio})
        listed = ", ".join(f"{peer} {median:.3f} ms" for peer, median in medians.items())
        print(f"{name}: {listed}; {ratio:.2f} times ONNX Runtime's speed", flush=True)

    print(f"\n| model, {arguments.threads} thread(s) | clearlane, ms | ONNX Runtime, ms | ratio |\n|---|---|---|---|")
    for result in results:
        medians = result["median_ms"]
        print(f"| {result['model']} | {medians['clearlane']:.2f} | {medians[OnnxRuntime.name]:.2f} | {result['ratio']:.2f} |")
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
