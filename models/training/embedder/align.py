"""Finds a face's five landmarks with SCRFD and cuts the aligned 112 x 112 crop: the preprocessing of every measurement."""

import cv2
import numpy as np
import onnxruntime as ort

# Where the five landmarks lie in the aligned crop (the ArcFace template).
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
SIDE = 320


class Scrfd:
    """SCRFD with landmarks at 320 x 320: nine outputs, scores, boxes and landmarks at strides 8, 16 and 32."""

    def __init__(self, path, threads=1):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def __call__(self, rgb):
        """(score, box x1 y1 x2 y2, landmarks 5 x 2) of every face, unmerged, in the picture's pixels; best first."""
        height, width = rgb.shape[:2]
        scale = SIDE / max(height, width)
        sized = cv2.resize(rgb, (round(width * scale), round(height * scale)))
        canvas = np.zeros((SIDE, SIDE, 3), np.float32)
        canvas[: sized.shape[0], : sized.shape[1]] = sized
        blob = ((canvas - 127.5) / 128).transpose(2, 0, 1)[None]
        outputs = self.session.run(None, {self.input: np.ascontiguousarray(blob)})
        outputs = [o.reshape(-1, o.shape[-1]) for o in outputs]
        faces = []
        for level, stride in enumerate((8, 16, 32)):
            scores, boxes, points = (outputs[level + 3 * k] for k in range(3))
            cells = SIDE // stride
            ys, xs = np.mgrid[0:cells, 0:cells]
            centres = np.repeat(np.stack([xs, ys], -1).reshape(-1, 2), 2, 0) * stride
            for i in np.flatnonzero(scores[:, 0] > 0.5):
                c, d = centres[i], boxes[i] * stride
                box = np.array([c[0] - d[0], c[1] - d[1], c[0] + d[2], c[1] + d[3]]) / scale
                faces.append((float(scores[i, 0]), box, (c + points[i].reshape(5, 2) * stride) / scale))
        return sorted(faces, key=lambda f: -f[0])

    def best(self, rgb, central=False):
        """The best-scored face, or the one nearest the middle; None where there is none."""
        faces = self(rgb)
        if central and faces:
            middle = np.array([rgb.shape[1], rgb.shape[0]]) / 2
            # Largest and most central: the subject of the picture, not a bystander.
            faces.sort(key=lambda f: np.linalg.norm((f[1][:2] + f[1][2:]) / 2 - middle) - 0.5 * (f[1][2] - f[1][0]))
        return faces[0] if faces else None


def crop(rgb, landmarks):
    """The aligned crop, uint8 RGB 112 x 112 x 3, by the least-squares similarity (Umeyama 1991)."""
    source, target = landmarks.astype(np.float64), TEMPLATE.astype(np.float64)
    a, b = source - source.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ sign @ vt
    scale = (s * np.diag(sign)).sum() / (a**2).sum()
    matrix = np.hstack([scale * rotation, (target.mean(0) - scale * rotation @ source.mean(0))[:, None]])
    return cv2.warpAffine(rgb, matrix, (112, 112), flags=cv2.INTER_LINEAR)
