"""Starts a student from an exported ONNX file."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from norms import put_back, settle, weights_of  # noqa: E402


def warm_start(model, path, x):
    """Loads the weights of the ONNX file `path`; `x`, a batch of pictures, gives the norms their statistics."""
    weights, hooks = weights_of(path), []

    def norm_pair(pair, name):
        conv, norm = pair
        conv.weight.copy_(weights[f"{name}.weight"])
        hooks.append(put_back(norm, weights[f"{name}.bias"]))

    with torch.no_grad():
        norm_pair(model.stem, "stem")
        norm_pair(model.widen, "widen")
        for s, stage in enumerate(model.stages):
            for b, block in enumerate(stage):
                name = f"stage{s + 1}.block{b + 1}"
                norm_pair(block.expand, f"{name}.expand")
                block.project.weight.copy_(weights[f"{name}.project.weight"])
                block.project.bias.copy_(weights[f"{name}.project.bias"])
        model.gather.weight.copy_(weights["gather.weight"].squeeze(1).permute(1, 2, 0))
        model.gather.bias.copy_(weights["gather.bias"])
        model.vector.weight.copy_(weights["vector.weight"].flatten(1))
        model.vector.bias.copy_(weights["vector.bias"])
        settle(model, hooks, x)
