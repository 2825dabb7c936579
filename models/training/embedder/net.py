"""The student: dense convolutions around a linear residual stream that has the teacher's three stage shapes."""

import torch
from torch import nn

WIDTHS = (64, 128, 128)
BLOCKS = ((2, 32), (3, 64), (2, 128))
ENTRIES = (64, 64, 128)


class ConvNorm(nn.Sequential):
    def __init__(self, inputs, outputs, size, stride=1):
        super().__init__(
            nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
            nn.BatchNorm2d(outputs),
        )


class Block(nn.Module):
    """3x3 to the hidden width, ReLU, 1x1 back: added to the stream, or starting a new one at half the size.

    The stream itself is not normalised: the teacher's maps, which it imitates, fix its scale.
    """

    def __init__(self, inputs, hidden, outputs, stride=1):
        super().__init__()
        self.expand = ConvNorm(inputs, hidden, 3, stride)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.residual = stride == 1
        nn.init.normal_(self.project.weight, 0, (0.3 if self.residual else 1.4) / hidden**0.5)
        nn.init.zeros_(self.project.bias)

    def forward(self, x):
        y = self.project(torch.relu_(self.expand(x)))
        return x + y if self.residual else y


class Gather(nn.Module):
    """A weight per place and channel, summed over the places: a global depthwise convolution, 7x7 to 1x1.

    Written as a product, since PyTorch's own on the CPU is slow and hands back gradients in another layout.
    """

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(7, 7, channels) / 7)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return (x.permute(0, 2, 3, 1) * self.weight).sum((1, 2)) + self.bias


def channels_last_gradient(x):
    """Keeps the backward pass in channels-last layout too: one tensor in another makes each step three times slower."""
    if x.requires_grad:
        x.register_hook(lambda g: g.contiguous(memory_format=torch.channels_last))
    return x


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = ConvNorm(3, 32, 3, 2)
        inputs, stages = 32, []
        for width, (count, hidden), entry in zip(WIDTHS, BLOCKS, ENTRIES):
            blocks = [Block(inputs, entry, width, 2)] + [Block(width, hidden, width) for _ in range(count)]
            stages.append(nn.Sequential(*blocks))
            inputs = width
        self.stages = nn.ModuleList(stages)
        self.widen = ConvNorm(WIDTHS[-1], 512, 1)
        self.gather = Gather(512)
        self.vector = nn.Linear(512, 128)

    def forward(self, x):
        """The vector N x 128 (not normalised) and the three stage maps."""
        x, maps = torch.relu_(self.stem(x)), []
        for stage in self.stages:
            x = channels_last_gradient(stage(x))
            maps.append(x)
        return self.vector(self.gather(torch.relu_(channels_last_gradient(self.widen(x))))), maps


def cost(model):
    """Multiply-adds for one picture, in millions, and parameters, in millions."""
    total = 0

    def count(module, _, output):
        nonlocal total
        weights = module.weight.numel() if isinstance(module, Gather) else module.weight[0].numel() * output[0].numel()
        total += weights

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear, Gather))]
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, 112, 112))
    for hook in hooks:
        hook.remove()
    return total / 1e6, sum(p.numel() for p in model.parameters()) / 1e6
