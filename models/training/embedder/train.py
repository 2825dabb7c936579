"""Trains the student on the bank, by the wall clock: the learning rate falls to zero at --until.

The loss has two parts. The maps: each stage's output against the teacher's, in units of the teacher's spread per
channel. The vector: 1 - cosine with the teacher's, and the difference of the batch's score matrices. The maps' weight
falls with the time left, so that the last stretch belongs to the vector. Interrupted, it goes on from the last
checkpoint with the same command; a second stretch with a later --until is a restart of the rate (--peak scales it). A run
without a checkpoint may start from the weights of an exported ONNX file (--warm).
"""

import argparse
import copy
import json
import math
import queue
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from muon import optimisers
from net import Student, cost
from teacher import MEAN, STD
from warm import warm_start


def batches(bank, size, out, seed):
    """Endless batches into `out`: the least used shards four at a time, shuffled together."""
    rng, uses = np.random.default_rng(seed), {}
    while True:
        found = {}
        for folder in (bank / "shards").glob("*"):
            if folder.suffix != ".partial":
                key = (folder.name, folder.stat().st_mtime_ns)
                found[key] = folder
        uses = {key: uses.get(key, 0) for key in found}
        order = sorted(found, key=lambda key: (uses[key], rng.random()))[:4]
        if len(order) < 4:
            print("train: waiting for the first four shards (label.py makes them)", flush=True)
            time.sleep(10)
            continue
        parts = []
        for key in order:
            uses[key] += 1
            try:
                folder = found[key]
                parts.append([np.load(folder / f"{n}.npy") for n in ("images", "vectors", "map0", "map1", "map2")])
            except FileNotFoundError:  # overwritten by label.py meanwhile
                continue
        sizes = [len(p[0]) for p in parts]
        index = np.concatenate([np.stack([np.full(n, i), np.arange(n)], 1) for i, n in enumerate(sizes)])
        rng.shuffle(index)
        for start in range(0, len(index) - size + 1, size):
            rows = index[start : start + size]
            out.put([torch.from_numpy(np.stack([parts[i][k][j] for i, j in rows])) for k in range(5)])


class MapLoss(torch.autograd.Function):
    """Mean square of (ours - stored * unit) / spread; forward and gradient in as few passes over memory as can be."""

    @staticmethod
    def forward(ctx, ours, stored, unit, spread):
        target = stored.permute(0, 3, 1, 2).float().mul_(unit / spread)
        away = (ours * (1 / spread)).sub_(target)
        loss = torch.linalg.vector_norm(away).square() / away.numel()
        ctx.save_for_backward(away.mul_(2 / away.numel() / spread))
        return loss

    @staticmethod
    def backward(ctx, grad):
        return ctx.saved_tensors[0] * grad, None, None, None


def validate(model, faces, vectors, mean, std):
    """Mean cosine to the teacher over the held-out faces."""
    model.eval()
    scores = []
    with torch.no_grad():
        for i in range(0, len(faces), 50):
            x = ((faces[i : i + 50].float() - mean) / std).permute(0, 3, 1, 2)
            scores.append((F.normalize(model(x)[0]) * vectors[i : i + 50]).sum(1))
    model.train()
    return torch.cat(scores).mean().item()


def meeting(args):
    """Where the processes of one run find each other."""
    return torch.distributed.TCPStore("127.0.0.1", args.port, args.ranks, is_master=args.rank == 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bank", required=True, help="folder that faces.py and label.py wrote")
    parser.add_argument("--run", required=True, help="folder for checkpoints and the log")
    parser.add_argument("--until", required=True, help="when the learning rate reaches zero: 2025-06-01T18:30")
    parser.add_argument("--peak", type=float, default=1.0, help="scales the learning rates")
    parser.add_argument("--batch", type=int, default=48, help="per process")
    parser.add_argument("--threads", type=int, default=1, help="per process")
    parser.add_argument("--rank", type=int, default=0, help="this process's number")
    parser.add_argument("--ranks", type=int, default=1, help="processes that share the work, each started by itself")
    parser.add_argument("--port", type=int, default=29417, help="where the processes find each other")
    parser.add_argument("--maps", type=float, default=1.0, help="weight of the stage maps at the start")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--warm", help="an exported ONNX file to begin with, where the run has no checkpoint yet")
    parser.add_argument("--bf16", action="store_true", help="forward and backward in bfloat16: faster where the CPU has its products")
    parser.add_argument("--steps", type=int, default=0, help="stop after so many steps (for trials)")
    args = parser.parse_args()
    bank, run = Path(args.bank), Path(args.run)
    if not (bank / "scales.npz").exists():
        sys.exit(f"train: {bank} is not a bank yet: run faces.py and label.py first")
    until = datetime.fromisoformat(args.until).timestamp()
    run.mkdir(parents=True, exist_ok=True)
    torch.distributed.init_process_group("gloo", store=meeting(args), rank=args.rank, world_size=args.ranks)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    stored = np.load(bank / "scales.npz")
    units = [torch.from_numpy(stored[f"scale{k}"] / 127).view(1, -1, 1, 1) for k in range(3)]
    spreads = [torch.from_numpy(stored[f"std{k}"]).view(1, -1, 1, 1) for k in range(3)]
    mean, std = torch.from_numpy(MEAN * 255), torch.from_numpy(STD * 255)
    held = np.load(bank / "held.npy")[:500]
    faces = torch.from_numpy(np.load(bank / "pixels.npy", mmap_mode="r")[held][:, 8:120, 8:120].copy())
    truth = torch.from_numpy(np.load(bank / "vectors.npy")[held])

    model = Student()
    state = torch.load(run / "last.pt") if (run / "last.pt").exists() else None
    if state is None:
        print("train: %.1f million multiply-adds, %.2f million parameters" % cost(model), flush=True)
    model = model.to(memory_format=torch.channels_last).train()
    waiting = queue.Queue(8)
    threading.Thread(target=batches, args=(bank, args.batch, waiting, 1000 * (state["steps"] if state else 0) + args.rank), daemon=True).start()
    if args.warm and state is None:
        images = torch.cat([waiting.get()[0] for _ in range(4)])
        warm_start(model, args.warm, ((images.float() - mean) / std).permute(0, 3, 1, 2))
    average = copy.deepcopy(model)
    pair = optimisers(model, 0.02 * args.peak, 2e-3 * args.peak)
    peaks = [o.param_groups[0]["lr"] for o in pair]
    steps, samples, began = 0, 0, time.time()
    if state is not None:
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        steps, samples = state["steps"], state["samples"]
        if state["until"] == args.until:
            began = state["began"]
            for optimiser, saved in zip(pair, state["optimisers"]):
                optimiser.load_state_dict(saved)
        print(f"train: going on from step {steps}", flush=True)

    def save():
        if args.rank:
            return
        torch.save(
            {"model": model.state_dict(), "average": average.state_dict(), "optimisers": [o.state_dict() for o in pair],
             "steps": steps, "samples": samples, "began": began, "until": args.until},
            run / "last.partial",
        )
        (run / "last.partial").replace(run / "last.pt")
        (bank / "progress.json").write_text(json.dumps({"samples": samples}))

    log = open(run / "log.tsv", "a", buffering=1)
    first, saved, validated, sums = steps, time.time(), time.time(), np.zeros(5)
    while True:
        # All processes follow the clock of the first, so that they stop at the same step.
        clock = torch.tensor([time.time() - until, (time.time() - began) / (until - began)], dtype=torch.float64)
        torch.distributed.broadcast(clock, 0)
        if clock[0] > 0 or (args.steps and steps - first >= args.steps):
            break
        done = min(1.0, clock[1].item())
        rate = min(1.0, (steps + 1) / 100) * 0.5 * (1 + math.cos(math.pi * done))
        for optimiser, peak in zip(pair, peaks):
            optimiser.param_groups[0]["lr"] = peak * rate
        images, target, *bytes_ = waiting.get()
        x = ((images.float() - mean) / std).permute(0, 3, 1, 2)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            vector, maps = model(x)
        vector = F.normalize(vector.float())
        map_losses = [MapLoss.apply(ours.float(), *three) for ours, *three in zip(maps, bytes_, units, spreads)]
        away = (1 - (vector * target).sum(1)).mean()
        relation = (vector @ vector.T - target @ target.T).square().mean()
        loss = args.maps * (1 - 0.9 * done) * sum(map_losses) / 3 + away + 5 * relation
        for optimiser in pair:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        gradients = torch.cat([p.grad.flatten() for p in model.parameters()])
        torch.distributed.all_reduce(gradients)
        gradients /= args.ranks
        for p, g in zip(model.parameters(), gradients.split([p.numel() for p in model.parameters()])):
            p.grad.copy_(g.view_as(p))
        for optimiser in pair:
            optimiser.step()
        steps += 1
        samples += args.batch * args.ranks
        decay = min(0.998, steps / (steps + 20))
        with torch.no_grad():
            for a, b in zip(average.state_dict().values(), model.state_dict().values()):
                a.lerp_(b, 1 - decay) if a.is_floating_point() else a.copy_(b)
        sums += [away.item(), relation.item(), *(m.item() for m in map_losses)]
        if steps % 50 == 0 and args.rank == 0:
            a, r, *m = sums / 50
            sums[:] = 0
            line = f"{datetime.now():%H:%M:%S}\t{steps}\t{samples}\trate {rate:.3f}\tcos {1 - a:.4f}\trel {r:.5f}\tmaps " + " ".join(f"{v:.3f}" for v in m)
            if time.time() - validated > 240 or steps == 50:
                line += f"\theld-out {validate(average, faces, truth, mean, std):.4f}"
                validated = time.time()
            print(line, file=log)
        if time.time() - saved > 150:
            save()
            saved = time.time()
    if args.rank == 0:
        score, last = (validate(m, faces, truth, mean, std) for m in (average, model))
        print(f"{datetime.now():%H:%M:%S}\t{steps}\t{samples}\tend\theld-out {score:.4f}\tlast weights {last:.4f}", file=log)
    save()


if __name__ == "__main__":
    main()
