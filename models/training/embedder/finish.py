"""Solves the student's last layer exactly: ridge regression from its 512 gathered values to the teacher's unit vectors.

A short training leaves the last layer behind the rest; its best weights for the rest as it stands have a closed form. The
ridge is chosen on a tenth of the views that are left out of the sums. Writes `finished.pt` next to the checkpoint, unless the
trained layer does better on that tenth, as it does after a long training.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from net import Student
from teacher import MEAN, STD


def gathered(model, images):
    """The 512 values before the last layer."""
    caught = []
    hook = model.vector.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    mean, std = torch.from_numpy(MEAN * 255), torch.from_numpy(STD * 255)
    for start in range(0, len(images), 32):
        model(((torch.from_numpy(images[start : start + 32]).float() - mean) / std).permute(0, 3, 1, 2))
    hook.remove()
    return torch.cat(caught).double()


def solve(x, y, ridge):
    """Weights and bias of the ridge regression of y on x, the ridge in units of the mean variance of x."""
    mx, my = x.mean(0), y.mean(0)
    gram = (x - mx).T @ (x - mx)
    gram += ridge * gram.diagonal().mean() * torch.eye(x.size(1), dtype=x.dtype)
    weight = torch.linalg.solve(gram, (x - mx).T @ (y - my)).T
    return weight, my - weight @ mx


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bank", required=True, help="folder that label.py wrote")
    parser.add_argument("--run", required=True, help="folder of the training run")
    parser.add_argument("--views", type=int, default=6000)
    args = parser.parse_args()
    bank, checkpoint = Path(args.bank), Path(args.run) / "last.pt"
    shards = sorted(p for p in (bank / "shards").glob("*") if p.suffix != ".partial")
    if not checkpoint.exists() or not shards:
        sys.exit(f"finish: no checkpoint {checkpoint} or no shards in {bank}")
    torch.set_num_threads(1)
    state = torch.load(checkpoint)
    model = Student().to(memory_format=torch.channels_last).eval()
    model.load_state_dict(state["average"])
    each = -(-args.views // len(shards))
    images = np.concatenate([np.load(s / "images.npy", mmap_mode="r")[:each] for s in shards])
    y = torch.from_numpy(np.concatenate([np.load(s / "vectors.npy")[:each] for s in shards])).double()
    with torch.no_grad():
        x = gathered(model, images)
        test = torch.arange(len(x)) % 10 == 0

        def score(weight, bias):
            return (F.normalize(x[test] @ weight.T + bias) * y[test]).sum(1).mean().item()

        before = score(model.vector.weight.double(), model.vector.bias.double())
        print(f"finish: {len(x)} views; cosine before {before:.4f}")
        found = {ridge: score(*solve(x[~test], y[~test], ridge)) for ridge in (1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)}
        best = max(found, key=found.get)
        print("finish: " + ", ".join(f"ridge {r:g} {s:.4f}" for r, s in found.items()))
        if found[best] <= before:
            print("finish: the trained layer is the better one and stays: nothing written")
            return
        weight, bias = solve(x, y, best)
        state["average"]["vector.weight"], state["average"]["vector.bias"] = weight.float(), bias.float()
    torch.save({"average": state["average"]}, Path(args.run) / "finished.pt")


if __name__ == "__main__":
    main()
