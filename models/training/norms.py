"""Puts batch norms back into a network whose weights come from an exported ONNX file, in which they are folded away.

Each norm becomes the identity over the pictures that are given: its gain and shift undo what its own statistics over them
do. The training then goes on as if those had been its weights all along.
"""

import onnx
import torch
from onnx import numpy_helper


def put_back(norm, bias):
    """Makes `norm` add `bias` and nothing else to the next batch that passes it; returns the hook to remove after that."""

    def as_identity(norm, inputs):
        mean, var = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), correction=0)
        norm.weight.copy_(torch.sqrt(var + norm.eps))
        norm.bias.copy_(mean + bias)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)

    return norm.register_forward_pre_hook(as_identity)


def weights_of(path):
    """The ONNX file's initialisers by name."""
    return {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in onnx.load(path).graph.initializer}


def settle(model, hooks, x):
    """One pass over the pictures `x`: each norm sees what the norms before it, already put back, let through."""
    training = model.training
    model.eval()(x)
    model.train(training)
    for hook in hooks:
        hook.remove()
