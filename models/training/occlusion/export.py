"""Writes the running average of a checkpoint as ONNX, batch norms folded, and checks the file against the network.

    python export.py --run RUN --out ../../occlusion.onnx
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

from net import Occlusion


class Exported(torch.nn.Module):
    """Shares in [0, 1] alone."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return torch.sigmoid(self.net(x)[0])


def fused(net):
    """The network with its batch norms folded into the convolutions before them."""
    for module in net.modules():
        if isinstance(module, torch.nn.Sequential) and isinstance(module[1], torch.nn.BatchNorm2d):
            module[0], module[1] = fuse_conv_bn_eval(module[0], module[1]), torch.nn.Identity()
    return net


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, type=Path, help="folder of the training run")
    parser.add_argument("--out", required=True, type=Path, help="the .onnx to write")
    args = parser.parse_args()
    checkpoint = args.run / "last.pt"
    if not checkpoint.is_file():
        sys.exit(f"export: no checkpoint in {args.run}: run train.py first")
    state = torch.load(checkpoint)
    net = Occlusion()
    net.load_state_dict(state["average"])
    net.eval()
    x = torch.randn(3, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    partial = args.out.with_suffix(".partial")
    with torch.no_grad():
        expected = Exported(net)(x).numpy()
        torch.onnx.export(Exported(fused(net)), x[:1], str(partial), input_names=["input"], output_names=["shares"],
                          dynamic_axes={"input": {0: "N"}, "shares": {0: "N"}}, opset_version=13, dynamo=False)
    onnx.checker.check_model(onnx.load(str(partial)))
    away = np.abs(ort.InferenceSession(str(partial)).run(None, {"input": x.numpy()})[0] - expected).max()
    if away > 1e-4:
        sys.exit(f"export: the ONNX differs from the network by {away:.2g}: not written")
    partial.replace(args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes, differs by {away:.1g}, after {state['seen']} views")


if __name__ == "__main__":
    main()
