"""Draws pictures and learns from them in turn, in one process and on one core, by the wall clock.

A pool of pictures is drawn first; each step draws a few new ones into it, in the place of others, and learns from a batch of
the pool. Interrupted, it goes on from the last checkpoint with the same command. The learning rate falls to zero at the end
of --minutes.
"""

import argparse
import copy
import functools
import math
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
import torch.nn.functional as F

from canvas import SOURCE  # noqa: F401  (finds the embedder's modules)
from muon import Muon
from net import MEAN, STD, ConvNorm, Occlusion
from pictures import OUTPUTS, picture
from real import Real

BATCH = 96
NEW = 24


class Pool:
    """Pictures with what is covered in them, the oldest of which give way to new ones."""

    def __init__(self, size, rng, pixels, chosen, real):
        self.rng, self.pixels, self.chosen, self.real, self.next = rng, pixels, chosen, real, 0
        self.images = np.empty((size, 3, 112, 112), np.uint8)
        self.shares = np.empty((size, len(OUTPUTS)), np.float32)
        self.places = np.empty((size, 14, 14), np.float32)
        self.count = 0

    def draw(self, number):
        for _ in range(number):
            image, self.shares[self.next], covered = picture(self.rng, self.pixels, self.chosen, self.real)
            self.images[self.next] = image.transpose(2, 0, 1)
            self.places[self.next] = covered.reshape(14, 8, 14, 8).mean((1, 3))
            self.count = max(self.count, self.next + 1)
            self.next = (self.next + 1) % len(self.images)

    def batch(self):
        rows = self.rng.choice(self.count, BATCH, replace=False)
        x = (torch.from_numpy(self.images[rows]).float() - MEAN) / STD
        return x * float(np.exp(self.rng.normal(0, 0.1))), torch.from_numpy(self.shares[rows]), torch.from_numpy(self.places[rows])


def mirrored(x, shares, places):
    """What is covered of both eyes, mouth and face does not mind a mirror."""
    return (x.flip(3), shares, places.flip(2)) if torch.rand(()) < 0.5 else (x, shares, places)


def loss_of(model, x, shares, places):
    logits, cells = model(x)
    each = F.binary_cross_entropy_with_logits(logits, shares, reduction="none").mean(0)
    return each, F.binary_cross_entropy_with_logits(cells, places)


@torch.no_grad()
def warm_start(model, path, pictures):
    """The weights of an exported file, batch norms set by what `pictures` bring: the network answers as the file does."""
    stored = {tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in onnx.load(path).graph.initializer}

    def fill(module, inputs, name):
        conv, norm = module
        weight = stored[f"net.{name}.0.weight"]
        spread, mean = torch.var_mean(F.conv2d(inputs[0], weight, None, conv.stride, conv.padding), (0, 2, 3))
        norm.weight.copy_(torch.sqrt(spread + norm.eps))
        norm.bias.copy_(stored[f"net.{name}.0.bias"] + mean)
        # Each output's weights are of one length, as Muon likes them; the batch norm takes it away again.
        scale = 1.5 / (weight.flatten(1).norm(dim=1) + 1e-6)
        conv.weight.copy_(weight * scale[:, None, None, None])
        norm.running_mean.copy_(mean * scale)
        norm.running_var.copy_((spread + norm.eps) * scale**2 - norm.eps)

    hooks = [module.register_forward_pre_hook(functools.partial(fill, name=name)) for name, module in model.named_modules() if isinstance(module, ConvNorm)]
    for part in ("weight", "bias"):
        getattr(model.shares, part).copy_(stored[f"net.shares.{part}"])
        getattr(model.places, part).zero_()
    model.eval()(pictures)
    for hook in hooks:
        hook.remove()
    return model.train()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", required=True, type=Path, help="what ../embedder/faces.py wrote")
    parser.add_argument("--run", required=True, type=Path, help="folder of the training run")
    parser.add_argument("--minutes", required=True, type=float, help="how long to train from now on")
    parser.add_argument("--start", type=Path, help="checkpoint to begin with")
    parser.add_argument("--warm", type=Path, help="an exported ONNX file to begin with, where there is no checkpoint")
    parser.add_argument("--pool", type=int, default=12000)
    parser.add_argument("--peak", type=float, default=1.0, help="scales the learning rate")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    args.run.mkdir(parents=True, exist_ok=True)
    pixels = np.load(args.bank / "pixels.npy", mmap_mode="r")
    chosen = np.setdiff1d(np.arange(len(pixels)), np.load(args.bank / "held.npy"))
    real = Real(args.bank, pixels)
    chosen = np.setdiff1d(chosen, real.all)
    rng = np.random.default_rng(int(time.time()))
    torch.manual_seed(int(time.time()))
    model = Occlusion().to(memory_format=torch.channels_last)
    start = args.run / "last.pt" if (args.run / "last.pt").exists() else args.start
    average, seen = copy.deepcopy(model), 0
    if start:
        state = torch.load(start)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        seen = state["seen"]
    pool = Pool(args.pool, rng, pixels, chosen, real)
    if args.warm and not start:
        pool.draw(500)
        model, start = warm_start(model, args.warm, pool.batch()[0]), args.warm
        average = copy.deepcopy(model)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 4 and p.size(1) > 3 and n.split(".")[0] not in ("shares", "places")]
    others = [p for p in model.parameters() if all(p is not m for m in matrices)]
    pair = [Muon(matrices, 0.02, decay=0.01), torch.optim.AdamW(others, 3e-3, betas=(0.9, 0.98), weight_decay=1e-4)]
    peaks = [group["lr"] * args.peak for optimiser in pair for group in optimiser.param_groups]
    began = reported = time.time()
    sums, steps = [], 0
    with open(args.run / "log.txt", "a", buffering=1) as log:
        while (done := (time.time() - began) / (60 * args.minutes)) < 1:
            pool.draw(NEW if pool.count >= 1500 else 500)
            rate = min(1, steps / 50 + 0.02) * (1 if done < 0.4 else 0.5 + 0.5 * math.cos(math.pi * (done - 0.4) / 0.6))
            for optimiser, peak in zip(pair, peaks):
                optimiser.param_groups[0]["lr"] = peak * rate
            x, shares, places = mirrored(*pool.batch())
            each, cells = loss_of(model, x.contiguous(memory_format=torch.channels_last), shares, places)
            (each.sum() + cells).backward()
            for optimiser in pair:
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            steps += 1
            seen += BATCH
            decay = min(0.998, steps / (steps + 10)) if not start else 0.998
            with torch.no_grad():
                for a, b in zip(average.state_dict().values(), model.state_dict().values()):
                    a.lerp_(b, 1 - decay) if a.is_floating_point() else a.copy_(b)
            sums.append([*each.tolist(), cells.item()])
            if time.time() - reported > 30:
                text = " ".join(f"{name} {value:.3f}" for name, value in zip((*OUTPUTS, "places"), np.mean(sums, 0)))
                print(f"{steps} steps, {seen} views, rate {rate:.2f}: {text}", file=log)
                torch.save({"model": model.state_dict(), "average": average.state_dict(), "seen": seen}, args.run / "partial.pt")
                (args.run / "partial.pt").replace(args.run / "last.pt")
                reported, sums = time.time(), []
    torch.save({"model": model.state_dict(), "average": average.state_dict(), "seen": seen}, args.run / "last.pt")
    print(f"train: {steps} steps, {seen} views in all", file=sys.stderr)


if __name__ == "__main__":
    main()
