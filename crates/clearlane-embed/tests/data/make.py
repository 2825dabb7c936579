"""Makes the small ONNX models and pictures that the tests of clearlane-embed read, and what other software makes of them.

    pip install numpy==2.* onnx==1.* opencv-python-headless==4.* pillow scikit-image
    python make.py            # writes beside itself

The detectors answer every picture with the same tensors, so that the decoding alone is under test: `scrfd.json` holds
what the reference decoding in numpy (as InsightFace publishes it) makes of them, `yunet.json` what OpenCV's
FaceDetectorYN makes of the same ONNX file. `align.json` has a similarity fitted by scikit-image, and `aligned.png` is
what OpenCV's warpAffine cuts out of `texture.png` with it.
"""

import json
import pathlib

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from skimage.transform import SimilarityTransform

HERE = pathlib.Path(__file__).parent
SIDE = 64
STRIDES = (8, 16, 32)


def save(name, nodes, initializers, outputs, side):
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape) for output, shape in outputs],
        [numpy_helper.from_array(value, key) for key, value in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.checker.check_model(model)
    onnx.save(model, HERE / f"{name}.onnx")


def constant_detector(name, tensors):
    """Each output is its tensor plus nought times the input's mean."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Reshape", ["mean", "one"], ["scalar"]),
        helper.make_node("Mul", ["scalar", "nought"], ["none"]),
    ]
    nodes += [helper.make_node("Add", [f"{k}_values", "none"], [k]) for k in tensors]
    initializers = {f"{k}_values": v.astype(np.float32) for k, v in tensors.items()}
    initializers |= {"nought": np.zeros(1, np.float32), "one": np.array([1], np.int64)}
    save(name, nodes, initializers, [(k, v.shape) for k, v in tensors.items()], SIDE)


def scrfd(rng, name="scrfd", strides=STRIDES, anchors=2):
    tensors, found = {}, []
    for stride in strides:
        across = -(-SIDE // stride)
        cells = across**2
        scores = rng.uniform(0.0, 0.49, (1, cells * anchors, 1)).astype(np.float32)
        strong = rng.choice(cells * anchors, min(4, cells * anchors), replace=False)
        scores[0, strong, 0] = rng.uniform(0.55, 0.99, len(strong))
        boxes = rng.uniform(0.3, 2.5, (1, cells * anchors, 4)).astype(np.float32)
        points = rng.uniform(-1.5, 1.5, (1, cells * anchors, 10)).astype(np.float32)
        tensors[f"score_{stride}"], tensors[f"bbox_{stride}"], tensors[f"kps_{stride}"] = scores, boxes, points
        grid = np.stack(np.mgrid[:across, :across][::-1], -1).reshape(-1, 2) * stride
        centres = np.repeat(grid, anchors, axis=0).astype(np.float32)
        for i in np.where(scores[0, :, 0] >= 0.5)[0]:
            x, y = centres[i]
            left, top, right, bottom = boxes[0, i] * stride
            landmarks = (centres[i] + points[0, i].reshape(5, 2) * stride).tolist()
            found.append(
                {"score": float(scores[0, i, 0]), "box": [float(v) for v in (x - left, y - top, x + right, y + bottom)],
                 "landmarks": landmarks})
    order = [f"{kind}_{s}" for kind in ("score", "bbox", "kps") for s in strides]
    constant_detector(name, {k: tensors[k] for k in order})
    boxes = [[f["box"][0], f["box"][1], f["box"][2] - f["box"][0], f["box"][3] - f["box"][1]] for f in found]
    keep = cv2.dnn.NMSBoxes(boxes, [f["score"] for f in found], 0.5, 0.4)
    json.dump([found[i] for i in np.array(keep).flatten()], open(HERE / f"{name}.json", "w"), indent=1)



def retinaface(rng, name, softmax):
    """As the PyTorch implementation decodes (`PriorBox`, `decode`, `decode_landm`), written from its description."""
    priors = []
    for stride, sides in zip(STRIDES, ([16, 32], [64, 128], [256, 512])):
        for row in range(SIDE // stride):
            for column in range(SIDE // stride):
                priors += [[(column + 0.5) * stride / SIDE, (row + 0.5) * stride / SIDE, s / SIDE, s / SIDE] for s in sides]
    priors = np.array(priors)
    boxes, points = rng.normal(0, 1, (len(priors), 4)), rng.normal(0, 1, (len(priors), 10))
    logits = np.stack([rng.uniform(0.5, 3, len(priors)), rng.uniform(-3, 0, len(priors))], 1)
    logits[rng.choice(len(priors), 8, replace=False)] = [-1.5, 2.0]
    logits += rng.normal(0, 0.1, logits.shape)
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    constant_detector(name, {"loc": boxes[None], "landms": points[None], "conf": (chances if softmax else logits)[None]})
    middles = priors[:, :2] + boxes[:, :2] * 0.1 * priors[:, 2:]
    sizes = priors[:, 2:] * np.exp(boxes[:, 2:] * 0.2)
    corners = np.concatenate([middles - sizes / 2, middles + sizes / 2], 1) * SIDE
    marks = (priors[:, None, :2] + points.reshape(-1, 5, 2) * 0.1 * priors[:, None, 2:]) * SIDE
    strong = np.flatnonzero(chances[:, 1] >= 0.5)
    keep = cv2.dnn.NMSBoxes([[b[0], b[1], b[2] - b[0], b[3] - b[1]] for b in corners[strong].tolist()], chances[strong, 1].tolist(), 0.5, 0.4)
    found = [{"score": float(chances[i, 1]), "box": corners[i].tolist(), "landmarks": marks[i].tolist()} for i in strong[np.array(keep).flatten()]]
    json.dump(found, open(HERE / f"{name}.json", "w"), indent=1)


def yunet(rng):
    tensors = {}
    for stride in STRIDES:
        cells = (SIDE // stride) ** 2
        cls = rng.uniform(0.0, 0.6, (1, cells, 1))
        obj = rng.uniform(0.0, 0.6, (1, cells, 1))
        strong = rng.choice(cells, min(3, cells), replace=False)
        cls[0, strong, 0], obj[0, strong, 0] = rng.uniform(0.85, 1.0, len(strong)), rng.uniform(0.85, 1.0, len(strong))
        tensors |= {f"cls_{stride}": cls, f"obj_{stride}": obj,
                    f"bbox_{stride}": rng.uniform(-0.5, 0.8, (1, cells, 4)),
                    f"kps_{stride}": rng.uniform(-1.0, 1.5, (1, cells, 10))}
    order = [f"{kind}_{s}" for kind in ("cls", "obj", "bbox", "kps") for s in STRIDES]
    constant_detector("yunet", {k: tensors[k] for k in order})
    detector = cv2.FaceDetectorYN.create(str(HERE / "yunet.onnx"), "", (SIDE, SIDE), 0.8, 0.3, 5000)
    _, faces = detector.detect(np.zeros((SIDE, SIDE, 3), np.uint8))
    rows = [{"score": float(f[14]), "box": [float(v) for v in (f[0], f[1], f[0] + f[2], f[1] + f[3])],
             "landmarks": f[4:14].reshape(5, 2).tolist()} for f in faces]
    json.dump(rows, open(HERE / "yunet.json", "w"), indent=1)


def embedders():
    pool = helper.make_node("AveragePool", ["input"], ["pooled"], kernel_shape=[14, 14], strides=[14, 14])
    flat = helper.make_node("Flatten", ["pooled"], ["flat"])
    # The mean colour of 8 x 8 squares.
    nought, output = {"nought": np.zeros(1, np.float32)}, [("template", [1, 192])]
    save("embed_mean", [pool, helper.make_node("Flatten", ["pooled"], ["template"])], {}, output, 112)
    # The mean of each plane.
    whole = helper.make_node("GlobalAveragePool", ["input"], ["pooled"])
    save("means", [whole, helper.make_node("Flatten", ["pooled"], ["shares"])], {}, [("shares", (1, 3))], 112)
    zero = helper.make_node("Mul", ["flat", "nought"], ["template"])
    save("embed_zero", [pool, flat, zero], nought, output, 112)
    zero = helper.make_node("Mul", ["flat", "nought"], ["zero"])
    save("embed_nan", [pool, flat, zero, helper.make_node("Div", ["zero", "zero"], ["template"])], nought, output, 112)


def pictures():
    """A 6 x 4 pattern, no two pixels alike, in the variants of picture files that cameras and scanners give."""
    pattern = np.zeros((48, 64, 3), np.uint8)
    for y in range(6):
        for x in range(8):
            pattern[8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = (30 * x + 10, 40 * y + 10, 200 - 20 * x)
    upright = Image.fromarray(pattern)
    back = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE,
            6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}
    for orientation in range(1, 9):
        stored = upright.transpose(back[orientation]) if orientation in back else upright
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(HERE / f"exif_{orientation}.jpg", quality=95, subsampling=0, exif=exif)
    upright.save(HERE / "pattern.png")
    upright.convert("CMYK").save(HERE / "cmyk.jpg", quality=95)
    upright.save(HERE / "pattern.webp", lossless=True)
    upright.save(HERE / "pattern.bmp")
    upright.save(HERE / "pattern.ppm")
    upright.convert("L").save(HERE / "pattern.pgm")
    sixteen = pattern.astype(np.uint16) * 257
    cv2.imwrite(str(HERE / "sixteen.png"), sixteen[:, :, ::-1])
    alpha = np.dstack([pattern, np.full(pattern.shape[:2], 128, np.uint8)])
    Image.fromarray(alpha, "RGBA").save(HERE / "alpha.png")


def jpeg_2000():
    """The pattern without loss, as OpenJPEG writes it, and a fictional face as a passport's chip has it, in both formats."""
    pattern = Image.open(HERE / "pattern.png")
    pattern.save(HERE / "pattern.jp2")
    pattern.save(HERE / "pattern.j2k", no_jp2=True, tile_size=(24, 20), progression="RPCL", num_resolutions=3)
    Image.open(HERE / "pattern.pgm").save(HERE / "grey.jp2")
    Image.open(HERE / "alpha.png").save(HERE / "alpha.jp2")
    face = Image.open(HERE / "../../../../datasets/fictional/enrolled/f0000/enrol.jpg").convert("RGB").resize((96, 128))
    face.save(HERE / "portrait.jpg", quality=80)
    face.save(HERE / "portrait.jp2", irreversible=True, quality_mode="rates", quality_layers=[12], comment=None)
    Image.open(HERE / "portrait.jp2").save(HERE / "portrait.png", optimize=True)


def alignment(rng):
    texture = cv2.resize(rng.integers(0, 256, (20, 25, 3), np.uint8), (200, 160), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(HERE / "texture.png"), texture)
    reference = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
                          [70.7299, 92.2041]])
    cases = []
    for angle, scale in ((-0.4, 0.7), (0.0, 1.0), (0.25, 1.6), (2.0, 3.0)):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (reference - 56) @ turn.T * scale + (100, 80) + rng.normal(0, 2, (5, 2))
        transform = SimilarityTransform.from_estimate(points, reference).params
        cases.append({"landmarks": points.tolist(), "a": transform[0, 0], "b": transform[1, 0],
                      "tx": transform[0, 2], "ty": transform[1, 2]})
    json.dump(cases, open(HERE / "align.json", "w"), indent=1)
    matrix = SimilarityTransform.from_estimate(np.array(cases[2]["landmarks"]), reference).params[:2]
    cv2.imwrite(str(HERE / "aligned.png"), cv2.warpAffine(texture, matrix, (112, 112)))


if __name__ == "__main__":
    rng = np.random.default_rng(11)
    scrfd(rng)
    yunet(rng)
    scrfd(np.random.default_rng(5), "scrfd_five", (8, 16, 32, 64, 128), 1)
    retinaface(np.random.default_rng(6), "retinaface", True)
    retinaface(np.random.default_rng(7), "retinaface_logits", False)
    embedders()
    pictures()
    jpeg_2000()
    alignment(rng)
