"""An IResNet-50 with random weights, as the face models of InsightFace are built: for its time, not its accuracy.

Residual blocks of batch norm, 3 x 3 convolution, batch norm, PReLU, 3 x 3 convolution, batch norm, as in ArcFace
(Deng et al., CVPR 2019, section 3.1).
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13


class Graph:
    """Nodes one after the other, each with random weights of its own."""

    def __init__(self):
        self.random = np.random.default_rng(0)
        self.nodes, self.weights = [], []

    def weight(self, values):
        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def node(self, operator, *inputs, **attributes):
        output = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def matrix(self, *extents):
        """Uniform, so that a layer's outputs vary about as much as its inputs."""
        bound = (3 / np.prod(extents[1:])) ** 0.5
        return self.weight(self.random.uniform(-bound, bound, extents))

    def conv(self, x, inputs, outputs, side, stride):
        attributes = {"kernel_shape": [side, side], "strides": [stride, stride], "pads": [side // 2] * 4}
        return self.node("Conv", x, self.matrix(outputs, inputs, side, side), **attributes)

    def norm(self, x, channels):
        scale, variance = (self.weight(self.random.uniform(0.5, 1.5, channels)) for _ in range(2))
        bias, mean = (self.weight(self.random.normal(0, 0.1, channels)) for _ in range(2))
        return self.node("BatchNormalization", x, scale, bias, mean, variance)

    def prelu(self, x, channels):
        return self.node("PRelu", x, self.weight(np.full((channels, 1, 1), 0.25)))

    def block(self, x, inputs, outputs, stride):
        body = self.conv(self.norm(x, inputs), inputs, outputs, 3, 1)
        body = self.prelu(self.norm(body, outputs), outputs)
        body = self.norm(self.conv(body, outputs, outputs, 3, stride), outputs)
        if stride != 1 or inputs != outputs:
            x = self.norm(self.conv(x, inputs, outputs, 1, stride), outputs)
        return self.node("Add", body, x)


def iresnet50():
    graph = Graph()
    x = graph.prelu(graph.norm(graph.conv("input", 3, 64, 3, 1), 64), 64)
    inputs = 64
    for outputs, blocks in zip((64, 128, 256, 512), (3, 4, 14, 3)):
        for block in range(blocks):
            x = graph.block(x, inputs, outputs, 2 if block == 0 else 1)
            inputs = outputs
    x = graph.node("Flatten", graph.norm(x, 512))
    x = graph.node("Gemm", x, graph.matrix(512, 512 * 7 * 7), graph.weight(np.zeros(512)), transB=1)
    x = graph.norm(x, 512)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("input", [1, 3, 112, 112]), (x, [1, 512]))]
    made = helper.make_graph(graph.nodes, "iresnet50", ends[:1], ends[1:], graph.weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def export_iresnet50(path):
    """Writes the model to a file, unless it is there already."""
    if not path.exists():
        onnx.save(iresnet50(), path)
