"""An IResNet-50 with random weights, as the face models of InsightFace are built: for its time, not its accuracy.

Residual blocks of batch norm, 3 x 3 convolution, batch norm, PReLU, 3 x 3 convolution, batch norm, as in ArcFace
(Deng et al., CVPR 2019, section 3.1).
"""

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Identity() if stride == 1 and inputs == outputs else shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


def iresnet50():
    layers = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)]
    inputs = 64
    for outputs, blocks in zip((64, 128, 256, 512), (3, 4, 14, 3)):
        for block in range(blocks):
            layers.append(Block(inputs, outputs, 2 if block == 0 else 1))
            inputs = outputs
    layers += [nn.BatchNorm2d(512), nn.Flatten(1), nn.Linear(512 * 7 * 7, 512), nn.BatchNorm1d(512)]
    network = nn.Sequential(*layers).eval()
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return network


def export_iresnet50(path):
    """Writes the model to a file, unless it is there already."""
    if path.exists():
        return
    torch.manual_seed(0)
    names = {"input_names": ["input"], "output_names": ["embedding"]}
    torch.onnx.export(iresnet50(), torch.zeros(1, 3, 112, 112), str(path), opset_version=13, dynamo=False, **names)
