"""Makes the PAD models of the tests: networks that give the same answer to every face. Needs numpy and onnx.

    python make.py    (writes pad-live.onnx and pad-attack.onnx here; their digests go into manifest.toml)
"""

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def constant_answer(path: str, logits: list[float]) -> None:
    weights = numpy_helper.from_array(np.zeros((3, 3), np.float32), "weights")
    bias = numpy_helper.from_array(np.array(logits, np.float32), "bias")
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "constant answer",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 80, 80])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])],
        [weights, bias],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    with open(path, "wb") as file:
        file.write(data)
    print(path, hashlib.sha256(data).hexdigest())


# Class 1 is a live face: softmax gives it 0.787 and 0.045.
constant_answer("pad-live.onnx", [0.0, 2.0, 0.0])
constant_answer("pad-attack.onnx", [3.0, 0.0, -1.0])
