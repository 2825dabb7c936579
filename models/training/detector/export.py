"""Writes the weights of a checkpoint as ONNX, batch norm folded, and checks the file against the network.

    python export.py --checkpoint runs/a.pt --out ../../detector.onnx [--size 320]
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

from common import stop
from model import NAMES, Detector, Exported

ALLOWED = {"Conv", "Relu", "Add", "Sigmoid", "Transpose", "Reshape", "Resize", "Constant"}


def fused(net):
    """The network with batch norm and the input's gain folded into the convolutions."""
    for module in net.modules():
        if isinstance(module, torch.nn.Sequential) and len(module) > 1 and isinstance(module[1], torch.nn.BatchNorm2d):
            module[0], module[1] = fuse_conv_bn_eval(module[0], module[1]), torch.nn.Identity()
    with torch.no_grad():
        net.stem[0][0].weight.mul_(net.gain)
    net.gain = 1.0
    return net


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--size", type=int, default=320, help="side of the square input, a multiple of 32")
    parser.add_argument("--last", action="store_true", help="the last weights, not the averaged ones: better after few steps")
    args = parser.parse_args()
    if args.size % 32:
        stop(f"--size {args.size} is not a multiple of 32")
    if not args.checkpoint.is_file():
        stop(f"no checkpoint at {args.checkpoint}; run train.py first")
    state = torch.load(args.checkpoint, map_location="cpu")
    net = Detector()
    net.load_state_dict(state["net" if args.last else "mean"])
    net.eval()
    sample = torch.rand(1, 3, args.size, args.size) * 255
    with torch.no_grad():
        expected = [t.numpy() for t in Exported(net)(sample)]
        partial = args.out.with_suffix(".part")
        torch.onnx.export(Exported(fused(net)), sample, str(partial), input_names=["input"], output_names=NAMES,
                          opset_version=13, dynamo=False)
    model = onnx.load(str(partial))
    onnx.checker.check_model(model)
    kinds = {n.op_type for n in model.graph.node}
    if kinds - ALLOWED:
        stop(f"the graph holds operators not meant to be there: {sorted(kinds - ALLOWED)}")
    got = ort.InferenceSession(str(partial)).run(None, {"input": sample.numpy()})
    worst = max(float(np.abs(a - b).max()) for a, b in zip(expected, got))
    if worst > 1e-3:
        stop(f"the exported file differs from the network by {worst}")
    partial.replace(args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes, differs by {worst:.1e}, after {state['seen']} scenes, operators {sorted(kinds)}")


if __name__ == "__main__":
    main()
