"""The detectors that label and that are compared with, each as `find(bgr) -> scores, boxes, landmarks`."""

import numpy as np
import onnxruntime as ort

from common import decode, folder, grid, stop


def session(models, name):
    """An ONNX Runtime session of one thread."""
    path = folder(models, "the teachers' models") / name
    if not path.is_file():
        stop(f"no model {name} in {models}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class HeadsOfTwelve:
    """YuNet, and clearlane's own detector, which keeps YuNet's convention."""

    def __init__(self, models, name):
        self.net = session(models, name)
        self.names = [o.name for o in self.net.get_outputs()]

    def find(self, bgr):
        values = self.net.run(None, {"input": bgr.transpose(2, 0, 1)[None].astype(np.float32)})
        return decode(dict(zip(self.names, values)), *bgr.shape[:2])


class RetinaFace:
    """RetinaFace with MobileNet-0.25; its input is 640 x 640."""

    size = 640

    def __init__(self, models):
        self.net = session(models, "retinaface_mnet025_640.onnx")
        priors = []
        for stride, sizes in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
            centres = ((grid(self.size, self.size, stride) + 0.5) * stride).repeat(2, 0)
            sides = np.tile(np.array(sizes, np.float32), len(centres) // 2)[:, None].repeat(2, 1)
            priors.append(np.hstack([centres, sides]))
        self.priors = np.concatenate(priors)

    def find(self, bgr):
        blob = (bgr.astype(np.float32) - np.float32([104, 117, 123])).transpose(2, 0, 1)[None]
        box, cls, kps = (o[0] for o in self.net.run(None, {"input0": blob}))
        middle, side = self.priors[:, :2], self.priors[:, 2:]
        centre, size = middle + box[:, :2] * 0.1 * side, side * np.exp(box[:, 2:] * 0.2)
        points = middle[:, None] + kps.reshape(-1, 5, 2) * 0.1 * side[:, None]
        return cls[:, 1], np.hstack([centre - size / 2, centre + size / 2]), points


class Scrfd:
    """SCRFD-2.5G: for comparison only, its labels train nothing."""

    def __init__(self, models):
        self.net = session(models, "scrfd_2.5g_bnkps.onnx")

    def find(self, bgr):
        blob = ((bgr[..., ::-1].astype(np.float32) - 127.5) / 128).transpose(2, 0, 1)[None]
        out = self.net.run(None, {"input.1": np.ascontiguousarray(blob)})
        scores, boxes, points = [], [], []
        for level, stride in enumerate((8, 16, 32)):
            cells = grid(*bgr.shape[:2], stride).repeat(2, 0) * stride
            reach = out[level + 3] * stride
            scores.append(out[level][:, 0])
            boxes.append(np.hstack([cells - reach[:, :2], cells + reach[:, 2:]]))
            points.append(cells[:, None] + out[level + 6].reshape(-1, 5, 2) * stride)
        return np.concatenate(scores), np.concatenate(boxes), np.concatenate(points)
