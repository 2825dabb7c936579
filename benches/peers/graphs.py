#!/usr/bin/env python3
"""Random networks: clearlane beside ONNX Runtime. Each must agree, or be refused with a reason; none may differ.

    pip install numpy onnx==1.23.2 onnxruntime==1.32.0
    maturin develop --release --manifest-path crates/clearlane-py/Cargo.toml
    python3 benches/peers/graphs.py --count 500 [--seed 1] [--keep DIR] [MODEL.onnx ...]

A graph begins with one batch of images and goes on with operators that exporters of face models write, each with attributes
at random; it ends in one to three outputs. Files that are named are tried instead, each on noise. `--keep` writes the graphs that
differ or were refused. The exit status is 1 where one differs.
"""

import argparse
import collections
import sys
from pathlib import Path

import clearlane
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

# An output may be off by this part of its largest value; of quantised graphs by some steps of their output.
TOLERANCE = 2e-4
STEPS = 2.5
# What half precision rounds to, some times over.
HALF = 4e-3
IR_VERSION = 8


class Graph:
    """A graph that grows: tensors are names with shapes."""

    def __init__(self, random):
        self.random = random
        self.opset = int(random.choice([9, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21]))
        self.nodes, self.constants, self.names = [], [], 0
        self.quantised = 0.0
        side = lambda: int(random.integers(6, 33))
        self.input = [1, int(random.choice([1, 3, 4, 8])), side(), side()]
        self.tensors = {"input": self.input}

    def name(self):
        self.names += 1
        return f"t{self.names}"

    def constant(self, values):
        name = self.name()
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def weights(self, *shape, scale=None):
        scale = scale or (2.0 / max(1, int(np.prod(shape[1:])))) ** 0.5
        return self.constant(self.random.normal(0, scale, shape).astype(np.float32))

    def node(self, operator, inputs, shape, **attributes):
        name = self.name()
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        self.tensors[name] = [int(side) for side in shape]
        return name

    def pick(self, ranks=(2, 3, 4)):
        """A tensor, the later the likelier."""
        names = [name for name, shape in self.tensors.items() if len(shape) in ranks]
        if not names:
            return None
        return names[-1 - min(int(self.random.exponential(0.7)), len(names) - 1)]

    def chance(self, share):
        return self.random.random() < share

    def model(self, outputs):
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, self.tensors[name]) for name in outputs]
        taken = helper.make_tensor_value_info("input", TensorProto.FLOAT, self.input)
        graph = helper.make_graph(self.nodes, "random", [taken], values, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model


def pooled(length, kernel, stride, before, after, dilation=1, ceil=False):
    span = length + before + after - dilation * (kernel - 1) - 1
    return (-(-span // stride) if ceil else span // stride) + 1


def windows(g, shape, most=5):
    """Kernel, strides, dilations and pads that leave something of a picture."""
    kernel = [int(g.random.integers(1, most + 1)) for _ in range(2)]
    if g.chance(0.7):
        kernel = [kernel[0]] * 2
    strides = [int(g.random.choice([1, 1, 2, 3]))] * 2
    dilations = [int(g.random.choice([1, 1, 1, 2]))] * 2
    pads = [int(g.random.integers(0, kernel[side % 2] // 2 + 1)) for side in range(4)]
    sides = [pooled(shape[2 + i], kernel[i], strides[i], pads[i], pads[2 + i], dilations[i]) for i in range(2)]
    return None if min(sides) < 1 else (kernel, strides, dilations, pads, sides)


def conv(g, x, shape):
    found = windows(g, shape)
    if found is None:
        return
    kernel, strides, dilations, pads, sides = found
    inputs = shape[1]
    groups = [1, 1, inputs] + [n for n in (2, 4) if inputs % n == 0]
    group = int(g.random.choice(groups))
    outputs = group * int(g.random.integers(1, max(2, 25 // group)))
    given = [x, g.weights(outputs, inputs // group, *kernel)] + ([g.weights(outputs, scale=0.3)] if g.chance(0.7) else [])
    attributes = {"strides": strides, "dilations": dilations, "group": group}
    if g.chance(0.15) and dilations == [1, 1]:
        sides = [-(-shape[2 + i] // strides[i]) for i in range(2)]
        attributes["auto_pad"] = str(g.random.choice(["SAME_UPPER", "SAME_LOWER"]))
    else:
        attributes["pads"] = pads
    y = g.node("Conv", given, [1, outputs, *sides], **attributes)
    if g.chance(0.5):
        y = batch_norm(g, y, g.tensors[y])
    if g.chance(0.6):
        activation(g, y, g.tensors[y])


def conv_transpose(g, x, shape):
    kernel, stride = int(g.random.integers(1, 4)), int(g.random.choice([1, 2]))
    pad = int(g.random.integers(0, (kernel + 1) // 2))
    extra = int(g.random.integers(0, stride))
    sides = [stride * (side - 1) + extra + kernel - 2 * pad for side in shape[2:]]
    if min(sides) < 1 or max(sides) > 70:
        return
    outputs = int(g.random.integers(1, 13))
    given = [x, g.weights(shape[1], outputs, kernel, kernel, scale=0.3)]
    g.node("ConvTranspose", given, [1, outputs, *sides], strides=[stride] * 2, pads=[pad] * 4, output_padding=[extra] * 2)


def batch_norm(g, x, shape):
    channels = shape[1]
    numbers = [g.weights(channels, scale=0.5) for _ in range(3)]
    variance = g.constant((0.3 + g.random.random(channels)).astype(np.float32))
    return g.node("BatchNormalization", [x, *numbers, variance], shape, epsilon=float(g.random.choice([1e-5, 1e-3])))


def activation(g, x, shape):
    kinds = ["Relu", "LeakyRelu", "PRelu", "Sigmoid", "Tanh", "Elu", "Selu", "HardSigmoid", "Softplus", "Clip", "Silu", "Gelu"]
    kinds += ["Hard", "Mish", "Softsign", "Relu", "PRelu", "Clip"]
    kind = str(g.random.choice(kinds))
    if kind == "PRelu":
        ends = [1] * (len(shape) - 2)
        slopes = [1] if g.chance(0.2) else [shape[1], *ends]
        return g.node("PRelu", [x, g.weights(*slopes, scale=0.3)], shape)
    if kind == "Clip":
        low, high = sorted(g.random.normal(0, 1, 2).astype(np.float32))
        if g.opset < 11:
            return g.node("Clip", [x], shape, min=float(low), max=float(high))
        ends = [g.constant(low), g.constant(high)]
        return g.node("Clip", [x, "", ends[1]] if g.chance(0.2) else [x, *ends], shape)
    if kind == "Silu":
        return g.node("Mul", [x, g.node("Sigmoid", [x], shape)], shape)
    if kind == "Hard":
        if g.opset >= 14 and g.chance(0.5):
            return g.node("HardSwish", [x], shape)
        return g.node("Mul", [x, g.node("HardSigmoid", [x], shape, alpha=1 / 6, beta=0.5)], shape)
    if kind == "Mish":
        if g.opset >= 18 and g.chance(0.5):
            return g.node("Mish", [x], shape)
        return g.node("Mul", [x, g.node("Tanh", [g.node("Softplus", [x], shape)], shape)], shape)
    if kind == "Gelu":
        if g.opset >= 20 and g.chance(0.5):
            return g.node("Gelu", [x], shape, approximate=str(g.random.choice(["none", "tanh"])))
        part = g.node("Div", [x, g.constant(np.float32(2**0.5))], shape)
        sum_ = g.node("Add", [g.node("Erf", [part], shape), g.constant(np.float32(1))], shape)
        return g.node("Mul", [g.node("Mul", [x, sum_], shape), g.constant(np.float32(0.5))], shape)
    attributes = {"LeakyRelu": {"alpha": 0.1}, "Elu": {"alpha": 0.7}, "HardSigmoid": {"alpha": 0.3, "beta": 0.4}}
    return g.node(kind, [x], shape, **attributes.get(kind, {}))


def pool(g, x, shape):
    found = windows(g, shape, 4)
    if found is None:
        return
    kernel, strides, _, pads, sides = found
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    if g.chance(0.5):
        if g.opset >= 10 and g.chance(0.3):
            attributes["ceil_mode"] = 1
            sides = [pooled(shape[2 + i], kernel[i], strides[i], pads[i], pads[2 + i], ceil=True) for i in range(2)]
            # The last window begins within the picture or the padding before it.
            sides = [s - ((s - 1) * strides[i] >= shape[2 + i] + pads[i]) for i, s in enumerate(sides)]
        g.node("MaxPool", [x], [*shape[:2], *sides], **attributes)
    else:
        attributes["count_include_pad"] = int(g.chance(0.5))
        sides = [pooled(shape[2 + i], kernel[i], strides[i], pads[i], pads[2 + i]) for i in range(2)]
        g.node("AveragePool", [x], [*shape[:2], *sides], **attributes)


def global_pool(g, x, shape):
    g.node(str(g.random.choice(["GlobalAveragePool", "GlobalMaxPool"])), [x], [*shape[:2], 1, 1])


def squeeze_excite(g, x, shape):
    """Channels weighed by their own mean."""
    channels, inner = shape[1], max(1, shape[1] // 4)
    y = g.node("GlobalAveragePool", [x], [1, channels, 1, 1])
    y = g.node("Conv", [y, g.weights(inner, channels, 1, 1)], [1, inner, 1, 1])
    y = activation(g, y, [1, inner, 1, 1])
    y = g.node("Conv", [y, g.weights(channels, inner, 1, 1)], [1, channels, 1, 1])
    y = g.node(str(g.random.choice(["Sigmoid", "HardSigmoid"])), [y], [1, channels, 1, 1])
    g.node("Mul", [x, y] if g.chance(0.5) else [y, x], shape)


def arithmetic(g, x, shape):
    operator = str(g.random.choice(["Add", "Sub", "Mul", "Div", "Max", "Min"]))
    others = [name for name, other in g.tensors.items() if other == shape]
    if others and g.chance(0.5):
        other = str(g.random.choice(others))
    else:
        extents = [1 if g.chance(0.5) else side for side in shape]
        extents = extents[int(g.random.integers(0, len(extents) + 1)) :]
        values = g.random.normal(0, 1, extents)
        other = g.constant((np.sign(values) * (0.5 + abs(values))).astype(np.float32))
    if operator == "Div" and other in g.tensors:
        operator = "Add"
    given = [x, other] if operator == "Div" or g.chance(0.6) else [other, x]
    g.node(operator, given, shape)


def unary(g, x, shape):
    kind = str(g.random.choice(["Abs", "Neg", "Exp", "Sqrt", "Floor", "Ceil", "Identity", "Dropout", "Sin", "Cos", "Power", "Reciprocal"]))
    if kind == "Exp":
        x = g.node("Tanh", [x], shape)
    if kind in ("Sqrt", "Power", "Reciprocal"):
        x = g.node("Add", [g.node("Abs", [x], shape), g.constant(np.float32(0.5))], shape)
    if kind == "Power":
        g.node("Pow", [x, g.constant(np.float32(g.random.choice([0.5, 2, 3])))], shape)
    else:
        g.node(kind, [x], shape)


def reduce(g, x, shape):
    kind = str(g.random.choice(["ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceL2"]))
    axes = sorted(int(a) for a in g.random.choice(range(1, len(shape)), int(g.random.integers(1, len(shape))), replace=False))
    keep = int(g.chance(0.8))
    left = [1 if i in axes else side for i, side in enumerate(shape) if keep or i not in axes]
    if len(left) < 2:
        return
    written = [a - len(shape) if g.chance(0.3) else a for a in axes]
    if g.opset >= (13 if kind == "ReduceSum" else 18):
        g.node(kind, [x, g.ints(*written)], left, keepdims=keep)
    else:
        # Negative axes are of opset 11 on.
        g.node(kind, [x], left, axes=axes if g.opset < 11 else written, keepdims=keep)


def resize(g, x, shape):
    # An `Upsample` never makes a picture smaller.
    scale = float(g.random.choice([1.5 if g.opset < 10 else 0.5, 1.5, 2.0, 2.0, 3.0]))
    sides = [int(side * scale) for side in shape[2:]]
    if min(sides) < 1 or max(sides) > 70:
        return
    if g.opset < 11:
        mode = str(g.random.choice(["nearest", "linear"]))
        scales = g.constant(np.array([1, 1, scale, scale], np.float32))
        g.node("Upsample" if g.opset < 10 else "Resize", [x, scales], [*shape[:2], *sides], mode=mode)
        return
    mode = str(g.random.choice(["nearest", "nearest", "linear", "cubic"]))
    counts = ["asymmetric", "half_pixel", "pytorch_half_pixel"]
    # Where a length is cut to a whole number, ONNX Runtime aligns the corners of what is left, and the standard's own
    # implementation those of the whole; no exporter writes that.
    if all(side * scale == int(side * scale) for side in shape[2:]):
        counts.append("align_corners")
    attributes = {"mode": mode, "coordinate_transformation_mode": str(g.random.choice(counts))}
    if mode == "nearest":
        attributes["nearest_mode"] = str(g.random.choice(["floor", "round_prefer_floor", "ceil", "round_prefer_ceil"]))
    roi = g.constant(np.zeros(0, np.float32)) if g.opset < 13 else ""
    if g.chance(0.5):
        given = [x, roi, g.constant(np.array([1, 1, scale, scale], np.float32))]
    else:
        given = [x, roi, g.constant(np.zeros(0, np.float32)) if g.opset < 13 else "", g.ints(*shape[:2], *sides)]
    g.node("Resize", given, [*shape[:2], *sides], **attributes)


def concat(g, x, shape):
    axis = int(g.random.integers(1, len(shape)))
    fits = lambda other: len(other) == len(shape) and all(a == b for i, (a, b) in enumerate(zip(other, shape)) if i != axis)
    others = [name for name, other in g.tensors.items() if fits(other)]
    parts = [x] + [str(g.random.choice(others)) for _ in range(int(g.random.integers(1, 3)))]
    whole = list(shape)
    whole[axis] = sum(g.tensors[part][axis] for part in parts)
    if whole[axis] <= 128:
        g.node("Concat", parts, whole, axis=axis - len(shape) if g.opset >= 11 and g.chance(0.3) else axis)


def slice_(g, x, shape):
    axis = int(g.random.integers(1, len(shape)))
    if shape[axis] < 2:
        return
    begin = int(g.random.integers(0, shape[axis] - 1))
    end = int(g.random.integers(begin + 1, shape[axis] + 1))
    step = 1 if g.opset < 10 or g.chance(0.7) else 2
    left = list(shape)
    left[axis] = len(range(begin, end, step))
    last = 2**62 if end == shape[axis] and g.chance(0.5) else end
    if g.opset < 10:
        g.node("Slice", [x], left, axes=[axis], starts=[begin], ends=[last])
    else:
        g.node("Slice", [x, g.ints(begin), g.ints(last), g.ints(axis), g.ints(step)], left)


def split(g, x, shape):
    if shape[1] < 2:
        return
    first = int(g.random.integers(1, shape[1]))
    parts, names = [first, shape[1] - first], [g.name(), g.name()]
    if g.opset >= 13:
        g.nodes.append(helper.make_node("Split", [x, g.ints(*parts)], names, axis=1))
    else:
        g.nodes.append(helper.make_node("Split", [x], names, axis=1, split=parts))
    for name, part in zip(names, parts):
        g.tensors[name] = [shape[0], part, *shape[2:]]


def shuffle(g, x, shape):
    """Channels in another order, as ShuffleNet has them."""
    if shape[1] % 2:
        return
    c, h, w = shape[1:]
    y = g.node("Reshape", [x, g.ints(1, 2, c // 2, h, w)], [1, 2, c // 2, h, w])
    y = g.node("Transpose", [y], [1, c // 2, 2, h, w], perm=[0, 2, 1, 3, 4])
    g.node("Reshape", [y, g.ints(1, -1, h, w)], shape)


def tokens(g, x, shape):
    """A map as a list of tokens, by a shape that is computed as exporters do."""
    c, n = shape[1], shape[2] * shape[3]
    if g.chance(0.5):
        whole = g.name()
        g.nodes.append(helper.make_node("Shape", [x], [whole]))
        first, second = g.name(), g.name()
        g.nodes.append(helper.make_node("Gather", [whole, g.ints(0)], [first], axis=0))
        g.nodes.append(helper.make_node("Concat", [first, g.ints(c), g.ints(-1)], [second], axis=0))
        y = g.node("Reshape", [x, second], [1, c, n])
    else:
        y = g.node("Reshape", [x, g.ints(0, 0, -1)], [1, c, n])
    g.node("Transpose", [y], [1, n, c], perm=[0, 2, 1])


def layer_norm(g, x, shape):
    width = shape[-1]
    if g.opset >= 17 and g.chance(0.5):
        return g.node("LayerNormalization", [x, g.weights(width, scale=1), g.weights(width, scale=1)], shape, axis=-1, epsilon=1e-5)
    over = [*shape[:-1], 1]
    mean = lambda t: g.node("ReduceMean", [t, g.ints(-1)], over) if g.opset >= 18 else g.node("ReduceMean", [t], over, axes=[len(shape) - 1])
    centred = g.node("Sub", [x, mean(x)], shape)
    variance = mean(g.node("Pow", [centred, g.constant(np.float32(2))], shape))
    deviation = g.node("Sqrt", [g.node("Add", [variance, g.constant(np.float32(1e-5))], over)], over)
    y = g.node("Div", [centred, deviation], shape)
    y = g.node("Mul", [y, g.weights(width, scale=1)], shape)
    return g.node("Add", [y, g.weights(width, scale=1)], shape)


def linear(g, x, shape):
    outputs = int(g.random.integers(1, 33))
    if len(shape) == 2 and g.chance(0.6):
        turned = g.chance(0.5)
        weights = g.weights(outputs, shape[1]) if turned else g.weights(shape[1], outputs, scale=shape[1] ** -0.5)
        given = [x, weights, g.weights(outputs, scale=0.3)]
        g.node("Gemm", given, [shape[0], outputs], transB=int(turned), alpha=float(g.random.choice([1, 0.5])), beta=float(g.random.choice([1, 2])))
        return
    y = g.node("MatMul", [x, g.weights(shape[-1], outputs, scale=shape[-1] ** -0.5)], [*shape[:-1], outputs])
    if g.chance(0.6):
        g.node("Add", [g.weights(outputs, scale=0.3), y], [*shape[:-1], outputs])


def attention(g, x, shape):
    """Self-attention over tokens, of one head or several."""
    n, c = shape[1:]
    heads = int(g.random.choice([h for h in (1, 2, 4) if c % h == 0]))
    each = c // heads

    def part(key):
        y = g.node("MatMul", [x, g.weights(c, c, scale=c**-0.5)], shape)
        y = g.node("Reshape", [y, g.ints(1, n, heads, each)], [1, n, heads, each])
        perm = [0, 2, 3, 1] if key else [0, 2, 1, 3]
        return g.node("Transpose", [y], [1, heads, *([each, n] if key else [n, each])], perm=perm)

    scores = g.node("MatMul", [part(False), part(True)], [1, heads, n, n])
    scores = g.node("Mul", [scores, g.constant(np.float32(each**-0.5))], [1, heads, n, n])
    # Before opset 13 all axes from the named one on are one.
    weights = g.node("Softmax", [scores], [1, heads, n, n], axis=3 if g.opset < 13 else -1)
    y = g.node("MatMul", [weights, part(False)], [1, heads, n, each])
    y = g.node("Transpose", [y], [1, n, heads, each], perm=[0, 2, 1, 3])
    y = g.node("Reshape", [y, g.ints(1, n, c)], shape)
    if g.chance(0.7):
        g.node("Add", [x, y], shape)


def softmax(g, x, shape):
    axis = int(g.random.integers(1, len(shape)))
    g.node(str(g.random.choice(["Softmax", "LogSoftmax"])), [x], shape, axis=axis)


def flatten(g, x, shape):
    g.node("Flatten", [x], [shape[0], int(np.prod(shape[1:]))], axis=1)


def pad(g, x, shape):
    mode = str(g.random.choice(["constant", "reflect", "edge"]))
    pads = [int(g.random.integers(0, min(3, min(shape[2:])))) for _ in range(4)]
    every = [0, 0, *pads[:2], 0, 0, *pads[2:]]
    whole = [*shape[:2], shape[2] + pads[0] + pads[2], shape[3] + pads[1] + pads[3]]
    if g.opset < 11:
        g.node("Pad", [x], whole, mode=mode, pads=every)
    else:
        value = [g.constant(np.float32(0.5))] if mode == "constant" and g.chance(0.5) else []
        g.node("Pad", [x, g.ints(*every), *value], whole, mode=mode)


def rearrange(g, x, shape):
    c, h, w = shape[1:]
    if c % 4 == 0 and g.chance(0.5):
        modes = {"mode": str(g.random.choice(["DCR", "CRD"]))} if g.opset >= 11 else {}
        g.node("DepthToSpace", [x], [1, c // 4, 2 * h, 2 * w], blocksize=2, **modes)
    elif h % 2 == 0 and w % 2 == 0 and c <= 32:
        g.node("SpaceToDepth", [x], [1, 4 * c, h // 2, w // 2], blocksize=2)


def instance_norm(g, x, shape):
    numbers = [g.weights(shape[1], scale=1) for _ in range(2)]
    g.node("InstanceNormalization", [x, *numbers], shape, epsilon=1e-3)


def group_norm(g, x, shape):
    """As PyTorch exports it."""
    c, h, w = shape[1:]
    groups = int(g.random.choice([n for n in (1, 2, 4) if c % n == 0]))
    y = g.node("Reshape", [x, g.ints(1, groups, -1)], [1, groups, c // groups * h * w])
    ones, noughts = g.constant(np.ones(groups, np.float32)), g.constant(np.zeros(groups, np.float32))
    y = g.node("InstanceNormalization", [y, ones, noughts], g.tensors[y], epsilon=1e-5)
    y = g.node("Reshape", [y, g.ints(1, c, h, w)], shape)
    y = g.node("Mul", [y, g.weights(c, 1, 1, scale=1)], shape)
    g.node("Add", [y, g.weights(c, 1, 1, scale=1)], shape)


def transpose(g, x, shape):
    perm = [0, *(int(a) for a in 1 + g.random.permutation(len(shape) - 1))]
    g.node("Transpose", [x], [shape[a] for a in perm], perm=perm)


def half(g, x, shape):
    """Through half precision and back, which rounds."""
    name = g.name()
    g.nodes.append(helper.make_node("Cast", [x], [name], to=TensorProto.FLOAT16))
    g.node("Cast", [name], shape, to=TensorProto.FLOAT)


def quantised(g, x, shape):
    """Through eight bits and back."""
    if g.opset < 10 or g.quantised:
        return
    unsigned = g.chance(0.6)
    scale = np.float32(g.random.choice([0.02, 0.05]))
    zero = g.constant(np.uint8(128) if unsigned else np.int8(3))
    name = g.name()
    step = g.constant(scale)
    g.nodes.append(helper.make_node("QuantizeLinear", [x, step, zero], [name]))
    g.node("DequantizeLinear", [name, step, zero], shape)
    g.quantised = float(scale)


def squeezed(g, x, shape):
    axes = [i for i, side in enumerate(shape) if side == 1 and i > 0]
    if not axes or len(shape) - len(axes) < 2:
        return
    left = [side for i, side in enumerate(shape) if i not in axes]
    y = g.node("Squeeze", [x, g.ints(*axes)], left) if g.opset >= 13 else g.node("Squeeze", [x], left, axes=axes)
    if g.chance(0.5):
        if g.opset >= 13:
            g.node("Unsqueeze", [y, g.ints(*axes)], shape)
        else:
            g.node("Unsqueeze", [y], shape, axes=axes)


def gather(g, x, shape):
    axis = int(g.random.integers(1, len(shape)))
    if len(shape) > 2 and g.chance(0.3):
        at = g.constant(np.array(int(g.random.integers(0, shape[axis])), np.int64))
        g.node("Gather", [x, at], [side for i, side in enumerate(shape) if i != axis], axis=axis)
    else:
        places = g.random.integers(0, shape[axis], int(g.random.integers(1, 9)))
        left = list(shape)
        left[axis] = len(places)
        g.node("Gather", [x, g.constant(places.astype(np.int64))], left, axis=axis)


# Each with the ranks that it takes, and how often it is drawn.
OPERATORS = [
    (conv, (4,), 12), (conv_transpose, (4,), 1), (batch_norm, (4,), 2), (activation, (2, 3, 4), 5), (pool, (4,), 3),
    (global_pool, (4,), 1), (squeeze_excite, (4,), 2), (arithmetic, (2, 3, 4), 5), (unary, (2, 3, 4), 2),
    (reduce, (2, 3, 4), 2), (resize, (4,), 3), (concat, (2, 3, 4), 2), (slice_, (2, 3, 4), 2), (split, (2, 3, 4), 2),
    (shuffle, (4,), 1), (tokens, (4,), 2), (layer_norm, (2, 3, 4), 2), (linear, (2, 3), 4), (attention, (3,), 4),
    (softmax, (2, 3, 4), 1), (flatten, (3, 4), 1), (pad, (4,), 1), (rearrange, (4,), 1), (instance_norm, (4,), 1),
    (group_norm, (4,), 1), (transpose, (3, 4), 1), (half, (2, 3, 4), 1), (quantised, (4,), 1), (squeezed, (3, 4), 1),
    (gather, (2, 3, 4), 1),
]  # fmt: skip


def random_graph(seed):
    """A model, the operators that were drawn, and the step that its values are rounded to, 0 for none."""
    g = Graph(np.random.default_rng(seed))
    drawn, shares = [], np.array([share for *_, share in OPERATORS], float)
    for _ in range(int(g.random.integers(2, 13))):
        operator, ranks, _ = OPERATORS[g.random.choice(len(OPERATORS), p=shares / shares.sum())]
        x = g.pick(ranks)
        # Attention over all pixels of a large map would take all the time.
        if x is None or (operator is attention and g.tensors[x][1] > 400):
            continue
        operator(g, x, g.tensors[x])
        drawn.append(operator.__name__.strip("_"))
    made = [name for name in g.tensors if name != "input"]
    if not made:
        return random_graph(seed + 1_000_003)
    used = {name for node in g.nodes for name in node.input}
    ends = [name for name in made if name not in used] or made[-1:]
    return g.model(ends[-3:]), drawn, g.quantised


def exact(onnx_bytes, image):
    """The outputs in double precision, by the standard's own implementation."""
    model = onnx.load_model_from_string(onnx_bytes)
    for constant in model.graph.initializer:
        if constant.data_type == TensorProto.FLOAT:
            constant.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(constant).astype(np.float64), constant.name))
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
    return ReferenceEvaluator(model).run(None, {model.graph.input[0].name: image.astype(np.float64)})


def compare(onnx_bytes, image, step, half):
    """None where both agree, else what is wrong: a kind and a text. Values were rounded to `step`, or to the part `half` of themselves."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
        taken = session.get_inputs()[0]
        run = lambda image: session.run(None, {taken.name: image.astype(np.float16 if "16" in taken.type else np.float32)})
        expected = run(image)
        # How much the last bits of the image count: some graphs divide by next to nothing.
        shaken = run(image * (1 + 1e-6 * np.random.default_rng(1).uniform(-1, 1, image.shape)))
    except Exception as error:  # noqa: BLE001
        return "not run by ONNX Runtime", str(error).splitlines()[0]
    try:
        network = clearlane.Network(onnx_bytes, list(image.shape[1:]))
    except clearlane.Error as error:
        return "refused", str(error)
    try:
        found = network.run(image)
    except clearlane.Error as error:
        return "differs", str(error)
    if len(found) != len(expected):
        return "differs", f"{len(found)} outputs in place of {len(expected)}"
    for index, (ours, theirs, shaken) in enumerate(zip(found, expected, shaken)):
        theirs = theirs.astype(np.float32)
        if ours.size != theirs.size:
            return "differs", f"output {index}: {ours.shape} in place of {theirs.shape}"
        ours = ours.reshape(theirs.shape)
        if not np.isfinite(theirs).all():
            continue
        largest = float(abs(theirs).max(initial=0))
        allowed = max(TOLERANCE, half) * max(largest, 1e-2) + 4 * float(abs(shaken - theirs).max(initial=0))
        off = abs(ours - theirs)
        # What is rounded may fall to the other side; so much and so often no more.
        if step and np.mean(off > allowed) < 0.02 and off.max(initial=0) < max(STEPS * step, 0.1) * max(largest, 1):
            continue
        if not (off <= allowed).all():
            # What cancels or is divided by next to nothing is rounded by everybody: within four bits of ONNX Runtime's distance to
            # the truth is no difference.
            try:
                truth = exact(onnx_bytes, image)[index].reshape(theirs.shape)
                if abs(ours - truth).max() <= 16 * abs(theirs - truth).max():
                    continue
            except Exception as error:  # noqa: BLE001
                print(f"no truth to compare with: {error}", file=sys.stderr)
            return "differs", f"output {index} {theirs.shape}: off by {float(off.max()):.3g} where the largest value is {largest:.3g}"
    return None


def image_for(model, random):
    given = {constant.name for constant in model.graph.initializer}
    value = next(value for value in model.graph.input if value.name not in given)
    sides = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    sides = [1, *(side or fallback for side, fallback in zip(sides[1:], (3, 224, 224)))]
    return random.normal(0, 1, sides).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)

    def cases():
        for path in arguments.models:
            model = onnx.load(path)
            quantised = any("Quant" in node.op_type or "QLinear" in node.op_type for node in model.graph.node)
            half = any(node.op_type == "Cast" for node in model.graph.node)
            yield str(path), path.read_bytes(), image_for(model, np.random.default_rng(1)), 0.1 if quantised else 0.0, HALF if half else 0.0
        for seed in range(arguments.seed, arguments.seed + arguments.count if not arguments.models else 0):
            model, drawn, step = random_graph(seed)
            image = np.random.default_rng(seed).normal(0, 1, [side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim])
            yield f"graph {seed} ({', '.join(drawn)})", model.SerializeToString(), image.astype(np.float32), step, HALF if "half" in drawn else 0.0

    counts, reasons = collections.Counter(), collections.Counter()
    for name, onnx_bytes, image, step, half in cases():
        kind, text = compare(onnx_bytes, image, step, half) or ("agrees", "")
        counts[kind] += 1
        if kind != "agrees":
            reasons[f"{kind}: {text[:100]}"] += 1
            if kind != "refused" or arguments.models:
                print(f"{name}: {kind}: {text}", flush=True)
            if arguments.keep and not arguments.models:
                (arguments.keep / f"{name.split(' (')[0].replace(' ', '-')}.onnx").write_bytes(onnx_bytes)
    for reason, count in reasons.most_common(12):
        print(f"  {count} x {reason}")
    print(", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    sys.exit(1 if counts["differs"] else 0)


if __name__ == "__main__":
    main()
