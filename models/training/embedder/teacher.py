"""The teacher: an ONNX face embedder whose unit vectors, and whose inner maps, the student learns."""

import numpy as np
import onnx
import onnxruntime as ort

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)

# The linear outputs of the teacher's three stages: 28x28x64, 14x14x128, 7x7x128. They are the maps the student imitates.
STAGES = ("332", "409", "460")
VECTOR = "625"


def normalise(rgb):
    """uint8 RGB, N x 112 x 112 x 3 -> float32, N x 3 x 112 x 112, as teacher and student take it."""
    x = (rgb.astype(np.float32) / 255.0 - MEAN) / STD
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


class Teacher:
    """Runs the teacher on batches; `maps=True` also returns the stage maps."""

    def __init__(self, path, maps=False, threads=1):
        model = onnx.load(path)
        graph = model.graph
        graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
        # The closing Reshape is fixed to a batch of one: the vector is taken before it.
        for node in [n for n in graph.node if n.op_type == "Reshape"]:
            graph.node.remove(node)
        del graph.output[:]
        del graph.value_info[:]
        self.outputs = [VECTOR] + (list(STAGES) if maps else [])
        graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in self.outputs)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def __call__(self, rgb):
        """Unit vectors N x 128, followed by the maps (N x C x H x W) where asked for."""
        vector, *maps = self.session.run(self.outputs, {"input": normalise(rgb)})
        vector = vector.reshape(len(rgb), -1)
        vector /= np.linalg.norm(vector, axis=1, keepdims=True)
        return (vector, *maps) if maps else vector
