"""Trains the detector on the scenes that make_scenes.py keeps fresh.

    python train.py --scenes DIR192 DIR320 --out runs/a.pt --minutes 90

The learning rate follows the clock: held, then falling to nothing over the last `--fall` of the minutes. State is saved
every two minutes (weights, averaged weights, optimiser, minutes spent); run the same command again to go on after an
interruption. One thread by default: on shared cores more threads wait for each other.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from common import folder, stop
from model import STRIDES, Detector
from muon import Muon
from warm import warm_start

# Face sides (root of the box's area, pixels) each stride answers for; a face in two ranges is learned by both.
RANGES = {8: (0, 64), 16: (40, 176), 32: (120, 1e9)}
SIDE_TO_EYES = 2.7
MIRRORED = [1, 0, 2, 4, 3]


class Scenes:
    """The shards of one folder, mapped from disk; new ones are seen as they come."""

    def __init__(self, path, rng):
        self.path, self.rng, self.open = folder(path, "the scenes"), rng, {}
        self.refresh()

    def refresh(self):
        names = {p.name[:5] for p in self.path.glob("?????-labels.npy")}
        self.open = {k: v for k, v in self.open.items() if k in names}
        for name in names - self.open.keys():
            try:
                scenes = np.load(self.path / f"{name}-scenes.npy", mmap_mode="r")
                self.open[name] = scenes, np.load(self.path / f"{name}-labels.npy")
            except (FileNotFoundError, ValueError):
                continue
        if not self.open:
            stop(f"no shards in {self.path}; run make_scenes.py first")

    def batch(self, pixels):
        """Scenes or windows of them worth `pixels` in all, half of them mirrored, each with its own colour gain."""
        name = sorted(self.open)[self.rng.integers(len(self.open))]
        scenes, labels = self.open[name]
        size = scenes.shape[1] if self.rng.random() < 0.3 else int(scenes.shape[1] * 0.7) // 32 * 32
        pick = np.sort(self.rng.permutation(len(scenes))[: max(1, pixels // size**2)])
        images, labels = windows(self.rng, scenes, labels, pick, size)
        flip = self.rng.random(len(pick)) < 0.5
        images[flip] = images[flip, :, ::-1]
        turned = labels[flip]
        kps = turned[..., 4:14].reshape(-1, 4, 5, 2)[:, :, MIRRORED]
        kps[..., 0] = size - kps[..., 0]
        turned[..., [0, 2]] = size - turned[..., [2, 0]]
        turned[..., 4:14] = kps.reshape(-1, 4, 10)
        labels[flip] = turned
        images = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        gain = torch.from_numpy(np.exp(self.rng.normal(0, 0.12, (len(pick), 3, 1, 1)))).float()
        shift = torch.from_numpy(self.rng.normal(0, 10, (len(pick), 1, 1, 1))).float()
        images = (images * gain + shift).clamp_(0, 255).contiguous(memory_format=torch.channels_last)
        return images, torch.from_numpy(labels)


def windows(rng, scenes, labels, pick, size):
    """Square parts of scenes, each about one of its faces, or a wrong answer, where it has any; and the labels within them."""
    images, rows = np.empty((len(pick), size, size, 3), np.uint8), labels[pick].copy()
    room = scenes.shape[1] - size
    for image, row, index in zip(images, rows, pick):
        corner = rng.integers(0, room + 1, 2)
        faces = row[(row[:, 14] > 0) | ((row[:, 14] == 0) & row[:, :4].any(1))]
        if room and len(faces):
            box = faces[rng.integers(len(faces)), :4]
            slack = size - (box[2:] - box[:2])
            corner = box[:2] - np.where(slack > 0, rng.uniform(0, 1, 2) * slack, slack / 2)
            corner = np.clip(corner, 0, room).astype(int)
        image[:] = scenes[index, corner[1] : corner[1] + size, corner[0] : corner[0] + size]
        row[:, :14] -= np.tile(corner, 7)
        low, high = np.clip(row[:, :2], 0, size), np.clip(row[:, 2:4], 0, size)
        seen = np.prod(high - low, 1) / np.maximum(np.prod(row[:, 2:4] - row[:, :2], 1), 1)
        row[:, 14] = np.where((row[:, 14] != 0) & (seen < 0.75), np.where(seen > 0, -1, 0), row[:, 14])
    return images, rows


def targets(labels, stride, height, width):
    """Per cell: index of its face (or -1), and whether the face and quality losses look at it."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = torch.stack([x, y], -1).reshape(1, 1, -1, 2).float()
    low, high = labels[:, :, None, :2], labels[:, :, None, 2:4]
    side = (high - low).clamp(min=1).prod(-1).sqrt()
    middle = (low + high) / 2
    at = (cells + 0.5) * stride
    away = (at - middle).abs().amax(-1)
    flag = labels[:, :, None, 14]
    smallest, largest = RANGES[stride]
    in_range = (side >= smallest) & (side < largest)
    nearly = (side >= smallest * 0.7) & (side < largest * 1.4)
    reach = torch.minimum(torch.full_like(side, 1.5 * stride), (0.35 * side).clamp(min=0.71 * stride))
    positive = (flag > 0) & in_range & (away < reach)
    near = (flag > 0) & nearly & (away < torch.maximum(reach + stride, 0.3 * side))
    inside = ((at >= low) & (at < high)).all(-1)
    unseen = (near & ~positive) | ((flag < 0) & inside)
    distance = torch.where(positive, away, torch.inf)
    best = distance.argmin(1)
    owned = positive.any(1)
    return cells[0, 0], torch.where(owned, best, -1), owned | ~unseen.any(1)


def overlap(a, b):
    """Intersection over union and its generalised form of boxes x0 y0 x1 y1, row by row."""
    def area(low, high):
        return (high - low).clamp(min=0).prod(-1)

    common = area(torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:]))
    union = area(a[:, :2], a[:, 2:]) + area(b[:, :2], b[:, 2:]) - common
    hull = area(torch.minimum(a[:, :2], b[:, :2]), torch.maximum(a[:, 2:], b[:, 2:]))
    iou = common / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


def losses(maps, labels):
    """Face, quality, box and landmark losses of a batch, each a mean over the cells that own a face."""
    face = quality = box = points = torch.zeros(())
    owners = 0
    for stride, raw in zip(STRIDES, maps):
        height, width = raw.shape[2:]
        cells, owner, seen = targets(labels, stride, height, width)
        rows = raw.permute(0, 2, 3, 1).reshape(len(labels), -1, 16)
        mine = owner >= 0
        truth = labels[mine.nonzero()[:, 0], owner[mine]]
        got, where = rows[mine], cells[mine.nonzero()[:, 1]]
        centre, size = (where + got[:, 2:4]) * stride, got[:, 4:6].clamp(-4, 5).exp() * stride
        iou, giou = overlap(torch.cat([centre - size / 2, centre + size / 2], 1), truth[:, :4])
        side = (truth[:, 2:4] - truth[:, :2]).clamp(min=1).prod(-1).sqrt()
        kps = (where[:, None] + got[:, 6:].reshape(-1, 5, 2)) * stride
        error = (kps - truth[:, 4:14].reshape(-1, 5, 2)) * (SIDE_TO_EYES / side)[:, None, None]
        wanted = mine.float()
        logit = rows[..., 0]
        chance = logit.sigmoid()
        focus = (wanted - chance).abs() ** 2 * torch.where(mine, 1.0, 0.75)
        face = face + (F.binary_cross_entropy_with_logits(logit, wanted, reduction="none") * focus)[seen].sum()
        wanted = torch.zeros_like(logit).masked_scatter(mine, iou.detach())
        focus = (wanted - rows[..., 1].sigmoid()).abs() ** 2
        quality = quality + (F.binary_cross_entropy_with_logits(rows[..., 1], wanted, reduction="none") * focus)[seen].sum()
        box = box + (1 - giou).sum()
        points = points + F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=0.03).mean((1, 2)).sum()
        owners += len(truth)
    return [part / max(owners, 1) for part in (face, quality, box, points)]


WEIGHTS = (2.0, 2.0, 1.5, 8.0)


def rate(share, top, fall):
    """Learning rate at a share of the run's minutes."""
    if share < 0.01:
        return top * max(share, 0.001) / 0.01
    return top * min(1.0, max(0.0, (1 - share) / fall)) + 1e-6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", required=True, nargs="+")
    parser.add_argument("--out", required=True, type=Path, help="checkpoint")
    parser.add_argument("--start", type=Path, help="begin from another run's averaged weights, or an exported .onnx")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--rate", type=float, default=0.02, help="of Muon; Adam, for the rest, has a tenth")
    parser.add_argument("--fall", type=float, default=0.5)
    parser.add_argument("--pixels", type=int, default=18 * 192 * 192, help="pixels in a batch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    sources = [Scenes(path, rng) for path in args.scenes]
    net = Detector().to(memory_format=torch.channels_last)
    if args.start and args.start.suffix == ".onnx":
        warm_start(net, args.start, torch.cat([source.batch(args.pixels)[0][:, :, :128, :128] for source in sources for _ in range(4)]))
    elif args.start:
        missing, unknown = net.load_state_dict(torch.load(args.start)["mean"], strict=False)
        if unknown:
            stop(f"{args.start} is of another network: it holds {unknown[0]}")
        if missing:
            print(f"{len(missing)} tensors are not in {args.start}: residual pairs that begin as the identity", flush=True)
    mean = {k: v.clone() for k, v in net.state_dict().items()}
    matrices = [p for name, p in net.named_parameters() if p.ndim == 4 and p.size(1) > 3 and "heads" not in name]
    chosen = {id(p) for p in matrices}
    others = [p for p in net.parameters() if id(p) not in chosen]
    optimisers = [(Muon(matrices, lr=args.rate), args.rate), (torch.optim.AdamW(others, weight_decay=0.0), args.rate / 10)]
    spent, step, seen = 0.0, 0, 0
    if args.out.is_file():
        state = torch.load(args.out)
        net.load_state_dict(state["net"])
        for (optimiser, _), kept in zip(optimisers, state["optimisers"]):
            optimiser.load_state_dict(kept)
        mean, spent, step, seen = state["mean"], state["spent"], state["step"], state["seen"]
        rng = np.random.default_rng([args.seed, step])
        print(f"going on from {args.out}: {spent:.1f} of {args.minutes} minutes, step {step}", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    last, saved, recent = time.monotonic(), time.monotonic(), []
    while spent < args.minutes:
        images, labels = sources[step % len(sources)].batch(args.pixels)
        parts = losses(net(images), labels)
        loss = sum(w * p for w, p in zip(WEIGHTS, parts))
        net.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 10.0)
        for optimiser, top in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate(spent / args.minutes, top, args.fall)
            optimiser.step()
        step, seen = step + 1, seen + len(images)
        keep = min(0.998, (1 + step) / (10 + step))
        for key, value in net.state_dict().items():
            if value.is_floating_point():
                mean[key].lerp_(value, 1 - keep)
        recent.append([p.item() for p in parts])
        now = time.monotonic()
        spent, last = spent + (now - last) / 60, now
        if now - saved > 120 or spent >= args.minutes:
            saved, partial = now, args.out.with_suffix(".part")
            torch.save({"net": net.state_dict(), "mean": mean, "optimisers": [o.state_dict() for o, _ in optimisers],
                        "spent": spent, "step": step, "seen": seen}, partial)
            partial.replace(args.out)
            values = " ".join(f"{name} {value:.4f}" for name, value in zip(("face", "quality", "box", "points"), np.mean(recent, 0)))
            print(f"{spent:6.1f} min, step {step}, {seen} scenes: {values}", flush=True)
            recent = []
            for source in sources:
                source.refresh()


if __name__ == "__main__":
    main()
