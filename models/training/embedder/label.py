"""Makes the bank: shards of views, each with the teacher's unit vector and stage maps for that very view.

Runs during the training, one process or several (each with its own --worker), until stopped. The oldest shards of a
worker are overwritten once it holds --shards of them, so the variety is without limit and the disk's use is not.
Interrupted at any moment it leaves only whole shards, and goes on where it was.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from teacher import Teacher
from views import view

SHARD = 2048
BATCH = 8


def scales(bank, teacher, pixels, chosen):
    """Per channel of each map, the value that becomes 127 in the stored bytes."""
    path = bank / "scales.npz"
    if not path.exists():
        rng = np.random.default_rng(7)
        views = np.stack([view(rng, pixels, chosen) for _ in range(512)])
        outputs = [teacher(views[i : i + BATCH]) for i in range(0, len(views), BATCH)]
        found = {}
        for k in range(3):
            maps = np.concatenate([o[k + 1] for o in outputs])
            found[f"scale{k}"] = np.quantile(np.abs(maps), 0.9995, axis=(0, 2, 3)).astype(np.float32)
            found[f"mean{k}"] = maps.mean((0, 2, 3))
            found[f"std{k}"] = maps.std((0, 2, 3))
        partial = bank / f"scales.{os.getpid()}.npz"
        np.savez(partial, **found)
        partial.replace(path)
    loaded = np.load(path)
    return [loaded[f"scale{k}"] for k in range(3)]


def shard(rng, teacher, pixels, chosen, scale):
    images = np.empty((SHARD, 112, 112, 3), np.uint8)
    vectors = np.empty((SHARD, 128), np.float32)
    maps = [np.empty((SHARD, s, s, c), np.int8) for s, c in ((28, 64), (14, 128), (7, 128))]
    for start in range(0, SHARD, BATCH):
        block = slice(start, start + BATCH)
        for i in range(start, start + BATCH):
            images[i] = view(rng, pixels, chosen)
        vectors[block], *found = teacher(images[block])
        for k, values in enumerate(found):
            stored = np.rint(values * (127 / scale[k])[:, None, None]).clip(-127, 127)
            maps[k][block] = stored.astype(np.int8).transpose(0, 2, 3, 1)
    return {"images": images, "vectors": vectors, "map0": maps[0], "map1": maps[1], "map2": maps[2]}


def write(folder, arrays):
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        np.save(partial / f"{name}.npy", values)
    if folder.exists():
        for old in folder.iterdir():
            old.unlink()
        folder.rmdir()
    partial.rename(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bank", required=True, help="folder that faces.py wrote")
    parser.add_argument("--teacher", required=True, help="the teacher's ONNX file")
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--shards", type=int, default=36, help="shards kept by this worker; one takes 240 MB")
    parser.add_argument("--reuse", type=float, default=2.0, help="how often the training sees a view; more are not made ahead")
    parser.add_argument("--ahead", type=int, default=40, help="shards made before that rule begins")
    args = parser.parse_args()
    bank = Path(args.bank)
    if not (bank / "held.npy").exists():
        sys.exit(f"label: {bank} holds no faces: run faces.py first")
    cv2.setNumThreads(1)
    pixels = np.load(bank / "pixels.npy", mmap_mode="r")
    held = np.load(bank / "held.npy")
    chosen = np.setdiff1d(np.arange(len(pixels)), held)
    teacher = Teacher(args.teacher, maps=True)
    scale = scales(bank, teacher, pixels, chosen)
    state = bank / f"worker{args.worker}.json"
    made = json.loads(state.read_text())["made"] if state.exists() else 0
    while True:
        progress = bank / "progress.json"
        seen = json.loads(progress.read_text())["samples"] if progress.exists() else 0
        total = sum(json.loads(p.read_text())["made"] for p in bank.glob("worker*.json"))
        if total >= args.ahead and total * SHARD * args.reuse > seen:
            time.sleep(5)
            continue
        started = time.time()
        arrays = shard(np.random.default_rng([args.worker, made]), teacher, pixels, chosen, scale)
        write(bank / "shards" / f"{args.worker}-{made % args.shards:03d}", arrays)
        made += 1
        partial = state.with_suffix(".partial")
        partial.write_text(json.dumps({"made": made}))
        partial.replace(state)
        print(f"label: worker {args.worker}, shard {made}, {SHARD / (time.time() - started):.0f} views a second", flush=True)


if __name__ == "__main__":
    main()
