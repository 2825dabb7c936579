"""Writes the running average of a checkpoint (`finished.pt`, else `last.pt`) as ONNX: batch norms folded into the convolutions; input N x 3 x 112 x 112, output N x 128."""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper

from net import Student, cost


def folded(pair):
    """Weight and bias of a convolution with its batch norm folded in."""
    conv, norm = pair
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return conv.weight * gain.view(-1, 1, 1, 1), norm.bias - norm.running_mean * gain


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def constant(self, name, tensor):
        self.weights.append(numpy_helper.from_array(tensor.detach().contiguous().numpy().astype(np.float32), name))
        return name

    def conv(self, x, name, weight, bias, stride=1, groups=1, relu=False):
        size = weight.shape[-1]
        pad = 0 if size == 7 else size // 2
        inputs = [x, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        self.nodes.append(
            helper.make_node("Conv", inputs, [name], name, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[pad] * 4, group=groups)
        )
        return self.single("Relu", name) if relu else name

    def single(self, kind, *inputs):
        name = f"{inputs[0]}.{kind.lower()}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name))
        return name


def graph_of(model):
    graph = Graph()
    x = graph.conv("input", "stem", *folded(model.stem), stride=2, relu=True)
    for s, stage in enumerate(model.stages):
        for b, block in enumerate(stage):
            name = f"stage{s + 1}.block{b + 1}"
            y = graph.conv(x, f"{name}.expand", *folded(block.expand), stride=block.expand[0].stride[0], relu=True)
            y = graph.conv(y, f"{name}.project", block.project.weight, block.project.bias)
            x = graph.single("Add", y, x) if block.residual else y
    x = graph.conv(x, "widen", *folded(model.widen), relu=True)
    x = graph.conv(x, "gather", model.gather.weight.permute(2, 0, 1).unsqueeze(1), model.gather.bias, groups=512)
    x = graph.conv(x, "vector", model.vector.weight[:, :, None, None], model.vector.bias)
    graph.nodes.append(helper.make_node("Flatten", [x], ["template"], "flatten", axis=1))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", *s]) for n, s in (("input", (3, 112, 112)), ("template", (128,)))]
    return helper.make_graph(graph.nodes, "clearlane-embedder", ends[:1], ends[1:], graph.weights)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="folder of the training run")
    parser.add_argument("--out", required=True, help="the .onnx to write")
    args = parser.parse_args()
    checkpoint = next((p for p in (Path(args.run) / "finished.pt", Path(args.run) / "last.pt") if p.exists()), None)
    if checkpoint is None:
        sys.exit(f"export: no checkpoint in {args.run}: run train.py first")
    model = Student().eval()
    model.load_state_dict(torch.load(checkpoint)["average"])
    with torch.no_grad():
        proto = helper.make_model(graph_of(model), opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(proto)
        x = torch.randn(3, 3, 112, 112, generator=torch.Generator().manual_seed(0))
        session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        away = np.abs(session.run(None, {"input": x.numpy()})[0] - model(x)[0].numpy()).max()
    if away > 1e-3:
        sys.exit(f"export: the ONNX differs from the model by {away:.2g}: not written")
    partial = Path(args.out).with_suffix(".partial")
    onnx.save(proto, partial)
    partial.replace(args.out)
    print("export: %s to %s, %.2f MB, %.1f million multiply-adds; off by at most %.1g" % (checkpoint, args.out, Path(args.out).stat().st_size / 1e6, cost(model)[0], away))


if __name__ == "__main__":
    main()
