"""The network: dense convolutions of stride two down to 7 x 7 places, then one weight for every place and output.

A second output, for the training alone, says of each of 14 x 14 places how much of it is covered: it teaches where to look.
"""

import torch
from torch import nn

from pictures import OUTPUTS

# Values of 0 to 255 come in; the manifest has the same numbers.
MEAN, STD = 127.5, 64.0


class ConvNorm(nn.Sequential):
    def __init__(self, inputs, outputs, size=3, stride=1):
        super().__init__(nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs))


class Pair(nn.Module):
    """3x3 to fewer channels, 1x1 back, added to what came in."""

    def __init__(self, channels, inner):
        super().__init__()
        self.narrow = ConvNorm(channels, inner)
        self.widen = ConvNorm(inner, channels, 1)

    def forward(self, x):
        return torch.relu(x + self.widen(torch.relu(self.narrow(x))))


class Occlusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = ConvNorm(3, 16, stride=2)
        self.down1 = ConvNorm(16, 32, stride=2)
        self.pair1 = Pair(32, 16)
        self.down2 = ConvNorm(32, 64, stride=2)
        self.pair2 = Pair(64, 32)
        self.places = nn.Conv2d(64, 1, 1)
        self.down3 = ConvNorm(64, 64, stride=2)
        self.pair3 = Pair(64, 32)
        self.shares = nn.Conv2d(64, len(OUTPUTS), 7)

    def forward(self, x):
        """The logits N x OUTPUTS of the covered shares, and those of the places N x 14 x 14."""
        x = torch.relu(self.stem(x))
        x = self.pair1(torch.relu(self.down1(x)))
        x = self.pair2(torch.relu(self.down2(x)))
        places = self.places(x).squeeze(1)
        x = self.pair3(torch.relu(self.down3(x)))
        return self.shares(x).flatten(1), places
