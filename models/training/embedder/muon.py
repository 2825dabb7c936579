"""Muon for the convolutions' matrices, Adam for the rest.

Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"): the momentum of each weight
matrix is replaced by its nearest semi-orthogonal matrix, found by five Newton-Schulz steps.
"""

import torch


def orthogonal(g, steps=5):
    """The nearest semi-orthogonal matrix of each matrix of the batch `g` (B x rows x columns), roughly."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = g.size(1) > g.size(2)
    x = g.transpose(1, 2) if tall else g
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        s = x @ x.transpose(1, 2)
        x = a * x + (b * s + c * s @ s) @ x
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.95, decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["buffer"] = torch.zeros_like(p)
                buffer = state["buffer"]
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(buffer, group["momentum"]).reshape(1, len(p), -1)
                update = orthogonal(update) * max(1, update.size(1) / update.size(2)) ** 0.5
                p.mul_(1 - group["lr"] * group["decay"])
                p.add_(update.reshape(p.shape), alpha=-group["lr"])


def optimisers(model, muon_lr, adam_lr):
    """The pair of optimisers for a model: dense convolutions but the first to Muon, everything else to Adam."""
    matrices, others = [], []
    for name, p in model.named_parameters():
        dense = p.ndim == 4 and p.size(1) > 3 and not name.startswith("vector")
        (matrices if dense else others).append(p)
    return [Muon(matrices, muon_lr, decay=0.01), torch.optim.AdamW(others, adam_lr, betas=(0.9, 0.98), weight_decay=0.0)]
