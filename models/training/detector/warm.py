"""Starts the detector from an exported ONNX file: norms, the input's gain and the cut heads put back together."""

import sys
from pathlib import Path

import torch
from torch import nn

from model import STRIDES

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from norms import put_back, settle, weights_of  # noqa: E402


def warm_start(net, path, x):
    """Loads the weights of the ONNX file `path`; `x`, a batch of pictures, gives the norms their statistics."""
    weights, hooks = weights_of(path), []
    with torch.no_grad():
        for name, module in net.named_modules():
            if isinstance(module, nn.Sequential) and len(module) > 1 and isinstance(module[1], nn.BatchNorm2d):
                module[0].weight.copy_(weights[f"detector.{name}.0.weight"])
                hooks.append(put_back(module[1], weights[f"detector.{name}.0.bias"]))
        net.stem[0][0].weight.div_(net.gain)
        for level, head in enumerate(net.heads):
            for kind in ("weight", "bias"):
                # export.py cuts each head into face, quality, box and landmarks, stride by stride.
                cut = [weights[f"parts.{part * len(STRIDES) + level}.{kind}"] for part in range(4)]
                getattr(head, kind).copy_(torch.cat(cut))
        settle(net, hooks, x)
