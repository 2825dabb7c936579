"""The network: plain 3x3 convolutions, residual pairs at three scales, a top-down path, and a residual pair and one small
head a stride.

About 1.4 MB and 135 million multiply-adds at 320 x 320. Depthwise convolutions are left out: they save arithmetic that a
CPU's vector units do not wait for. Batch norm is folded into the convolutions on export.
"""

import torch
from torch import nn

STRIDES = (8, 16, 32)
NAMES = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES]


def conv(inputs, outputs, stride=1, kernel=3, relu=True):
    """Convolution, batch norm and, if asked, ReLU."""
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class Residual(nn.Module):
    """Two 3x3 convolutions and the way round them. It begins as the identity, so that a trained network can grow by one."""

    def __init__(self, channels):
        super().__init__()
        self.first, self.second = conv(channels, channels), conv(channels, channels, relu=False)
        nn.init.zeros_(self.second[1].weight)

    def forward(self, x):
        return torch.relu(x + self.second(self.first(x)))


class Detector(nn.Module):
    """Raw head maps of three strides: 16 channels each (face, quality, box 4, landmarks 10)."""

    def __init__(self, stem=8, quarter=16, eighth=24, sixteenth=56, last=80, neck=24):
        super().__init__()
        self.gain = 1 / 128
        self.stem = nn.Sequential(conv(3, stem, 2), conv(stem, quarter, 2))
        self.eighth = nn.Sequential(conv(quarter, eighth, 2), Residual(eighth))
        self.sixteenth = nn.Sequential(conv(eighth, sixteenth, 2), Residual(sixteenth), Residual(sixteenth))
        self.last = nn.Sequential(conv(sixteenth, last, 2), Residual(last))
        self.sides = nn.ModuleList(conv(c, neck, kernel=1, relu=False) for c in (eighth, sixteenth, last))
        self.mixes = nn.ModuleList(conv(neck, neck) for _ in STRIDES)
        self.pairs = nn.ModuleList(Residual(neck) for _ in STRIDES)
        self.heads = nn.ModuleList(nn.Conv2d(neck, 16, 1) for _ in STRIDES)
        for head in self.heads:
            nn.init.normal_(head.weight, std=0.01)
            with torch.no_grad():
                head.bias.zero_()
                head.bias[:2] = -4.0
                head.bias[4:6] = 1.2
                head.bias[6:] = torch.tensor([-0.4, -0.4, 1.4, -0.4, 0.5, 0.5, -0.3, 1.2, 1.3, 1.2])

    def features(self, x):
        """What each stride's head looks at."""
        # Raw 0-255 BGR comes in; export folds this factor into the first weights.
        a = self.eighth(self.stem(x if self.gain == 1 else x * self.gain))
        b = self.sixteenth(a)
        c = self.last(b)
        up = nn.functional.interpolate
        c = self.sides[2](c)
        b = self.sides[1](b) + up(c, scale_factor=2, mode="nearest")
        a = self.sides[0](a) + up(b, scale_factor=2, mode="nearest")
        return [pair(mix(torch.relu(level))) for pair, mix, level in zip(self.pairs, self.mixes, (a, b, c))]

    def forward(self, x):
        return [head(level) for head, level in zip(self.heads, self.features(x))]


class Exported(nn.Module):
    """The detector with YuNet's twelve outputs, each [1, cells, channels]; every head is cut into four convolutions."""

    def __init__(self, detector):
        super().__init__()
        self.detector = detector
        self.parts = nn.ModuleList(self.cut(head, start, end) for start, end in ((0, 1), (1, 2), (2, 6), (6, 16)) for head in detector.heads)

    @staticmethod
    def cut(head, start, end):
        part = nn.Conv2d(head.in_channels, end - start, 1)
        part.load_state_dict({"weight": head.weight[start:end], "bias": head.bias[start:end]})
        return part

    def forward(self, x):
        levels = self.detector.features(x) * 4
        rows = [part(level).permute(0, 2, 3, 1).reshape(1, -1, part.out_channels) for part, level in zip(self.parts, levels)]
        return tuple(torch.sigmoid(row) if index < 6 else row for index, row in enumerate(rows))
