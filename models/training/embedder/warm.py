"""Starts a student from the weights of an exported ONNX file, in which the batch norms are folded away.

Each norm is put back as the identity over the given pictures: its gain and shift undo what its own statistics over
them do. The training then goes on as if those had been its weights all along.
"""

import onnx
import torch
from onnx import numpy_helper


def warm_start(model, path, x):
    """Loads the weights of the ONNX file `path`; `x`, a batch of pictures, gives the norms their statistics."""
    weights = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in onnx.load(path).graph.initializer}

    def norm_pair(pair, name):
        conv, norm = pair
        conv.weight.copy_(weights[f"{name}.weight"])

        def as_identity(norm, inputs):
            mean, var = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), correction=0)
            norm.weight.copy_(torch.sqrt(var + norm.eps))
            norm.bias.copy_(mean + weights[f"{name}.bias"])
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(var)

        hooks.append(norm.register_forward_pre_hook(as_identity))

    hooks = []
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
        # One norm after the other sees what the ones before it, already put right, let through.
        training = model.training
        model.eval()(x)
        model.train(training)
    for hook in hooks:
        hook.remove()
