"""Makes the PAD model of the tests: a network that takes a bright crop for a live face. Needs numpy and onnx.

    python make.py    (writes bright.onnx here; its digest goes into manifest.toml)
"""

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# The logit of class 1 is the mean level of the crop over 4, less 15: even odds at a mean of 60.
weights = np.zeros((3, 2), np.float32)
weights[:, 1] = 1 / 12
graph = helper.make_graph(
    [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
    ],
    "bright is live",
    [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 80, 80])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2])],
    [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.array([0, -15], np.float32), "bias"),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnx.checker.check_model(model)
data = model.SerializeToString()
with open("bright.onnx", "wb") as file:
    file.write(data)
print(hashlib.sha256(data).hexdigest())
