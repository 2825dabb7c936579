"""Muon (Jordan and others 2024, "Muon: an optimizer for hidden layers in neural networks"): each weight matrix's momentum
is replaced by its nearest semi-orthogonal matrix, found by five Newton-Schulz steps."""

import torch


def orthogonal(matrix, steps=5):
    """The nearest semi-orthogonal matrix, roughly."""
    x = matrix.T if matrix.size(0) > matrix.size(1) else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if matrix.size(0) > matrix.size(1) else x


class Muon(torch.optim.Optimizer):
    """For the weights of convolutions that batch norm follows."""

    def __init__(self, parameters, lr, momentum=0.95, decay=0.01):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - group["momentum"])
                matrix = weight.grad.lerp(momentum, group["momentum"]).reshape(len(weight), -1)
                update = orthogonal(matrix) * max(1, matrix.size(0) / matrix.size(1)) ** 0.5
                weight.mul_(1 - group["lr"] * group["decay"]).add_(update.reshape(weight.shape), alpha=-group["lr"])
