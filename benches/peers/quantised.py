"""ONNX Runtime's own static quantisation, for the comparison of quantised networks."""

from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

# The input of MobileFaceNet, as models/manifest.toml has it: RGB in 0 to 255.
MEAN = np.array([123.675, 116.28, 103.53], dtype=np.float32)
STD = np.array([58.395, 57.12, 57.375], dtype=np.float32)
SIDE = 112


class Faces(CalibrationDataReader):
    """Aligned faces of a folder and of the folders in it, evenly chosen; what is larger is cut to its centre."""

    def __init__(self, folder, name, count):
        files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        self.files = [files[index * len(files) // count] for index in range(min(count, len(files)))]
        self.name = name
        self.next = iter(self.files)

    def get_next(self):
        file = next(self.next, None)
        if file is None:
            return None
        image = cv2.imread(str(file))[..., ::-1].astype(np.float32)
        top, left = ((extent - SIDE) // 2 for extent in image.shape[:2])
        image = (image[top : top + SIDE, left : left + SIDE] - MEAN) / STD
        return {self.name: image.transpose(2, 0, 1)[None]}


def quantise(model, faces, out, count=512):
    """Unsigned activations, signed weights with a scale a channel (U8S8), as QDQ."""
    raised = out.with_suffix(".float.onnx")
    loaded = version_converter.convert_version(onnx.load(model), 13)
    onnx.save(loaded, raised)
    reader = Faces(faces, loaded.graph.input[0].name, count)
    quantize_static(
        raised,
        out,
        reader,
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
