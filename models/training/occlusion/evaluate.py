"""Measures an exported model on drawings on held-out faces, those never trained on by themselves, and lays out contact sheets.

    python evaluate.py drawn --model ../../occlusion.onnx --bank BANK [--sheet FOLDER]
    python evaluate.py faces --model ../../occlusion.onnx --bank BANK --out FOLDER     # what of the set itself it flags

A face counts as covered from a share of 0.7 on and as free up to 0.05; what lies between is not counted. Intervals are Clopper
and Pearson's at 95 %.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

import eyes
import harmless
import heads
import mouths
from canvas import Canvas
from net import MEAN, STD
from pictures import OUTPUTS, captured, face_of
from real import Real

COVERED, FREE = 0.7, 0.05


class Model:
    def __init__(self, path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, images):
        """The shares N x OUTPUTS of uint8 RGB pictures N x 112 x 112 x 3."""
        x = (images.transpose(0, 3, 1, 2).astype(np.float32) - MEAN) / STD
        return np.concatenate([self.session.run(None, {"input": x[i : i + 64]})[0] for i in range(0, len(x), 64)])


def interval(hits, n):
    """The exact 95 % interval of a share, by bisection of the binomial's tails."""
    logs = np.concatenate([[0], np.cumsum(np.log(np.arange(1, n + 1)))])

    def at_most(k, p):
        i = np.arange(k + 1)
        return np.exp(logs[n] - logs[i] - logs[n - i] + i * np.log(p) + (n - i) * np.log1p(-p)).sum()

    def solve(f):
        low, high = 1e-9, 1 - 1e-9
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if f(middle) else (low, middle)
        return low

    lower = 0.0 if hits == 0 else solve(lambda p: 1 - at_most(hits - 1, p) < 0.025)
    upper = 1.0 if hits == n else solve(lambda p: at_most(hits, p) > 0.025)
    return lower, upper


def families():
    """Each kind of drawing by name: (which output it is about, whether the training has it, how it is drawn)."""
    table = {}
    for output, module in (("mouth", mouths), ("eyes", eyes), ("head", heads)):
        for name, draw in module.TRAINED.items():
            table[f"{output}: {name}"] = (output, True, lambda rng, c, draw=draw: draw(rng, c, False))
        for name, draw in module.HELD.items():
            table[f"{output}: {name}, never trained on"] = (output, False, lambda rng, c, draw=draw: draw(rng, c, True))
    table["mouth: surgical, patterns never trained on"] = ("mouth", False, lambda rng, c: mouths.surgical(rng, c, True))
    table["none"] = ("free", True, lambda rng, c: None)
    table["clear glasses"] = ("free", True, lambda rng, c: eyes.clear_glasses(rng, c, False))
    for name, draw in heads.HARMLESS.items():
        table[name] = ("free", True, lambda rng, c, draw=draw: draw(rng, c, False))
    for draw in dict.fromkeys(harmless.ALL):
        table[draw.__name__.replace("_", " ")] = ("free", True, lambda rng, c, draw=draw: draw(rng, c))
    return table


def drawn(args):
    pixels = np.load(args.bank / "pixels.npy", mmap_mode="r")
    held = np.setdiff1d(np.load(args.bank / "held.npy"), Real(args.bank, pixels).all)
    model = Model(args.model)
    everything = []
    for number, (name, (about, _, draw)) in enumerate(families().items()):
        rng = np.random.default_rng([77, number])
        images, shares = [], []
        for _ in range(args.count):
            canvas = Canvas(face_of(rng, pixels, held))
            draw(rng, canvas)
            images.append(captured(rng, canvas)[0])
            shares.append(canvas.shares())
        images, shares = np.stack(images), np.stack(shares)
        everything.append((name, about, images, shares, model(images)))
    print("| drawing | covered | found | 95 % |\n|---|---|---|---|")
    for name, about, _, shares, found in everything:
        if about in OUTPUTS:
            k = OUTPUTS.index(about)
            there = shares[:, k] >= COVERED
            hits, n = int((found[there, k] >= args.threshold).sum()), int(there.sum())
            low, high = interval(hits, n)
            print(f"| {name} | {n} | {100 * hits / n:.1f} % | {100 * low:.1f} to {100 * high:.1f} |")
    print("\n| output | free | false alarms | 95 % | worst drawing |\n|---|---|---|---|---|")
    for k, output in enumerate(OUTPUTS):
        rates, hits, n = [], 0, 0
        for name, _, _, shares, found in everything:
            free = shares[:, k] <= FREE
            wrong = found[free, k] >= args.threshold
            hits, n = hits + int(wrong.sum()), n + len(wrong)
            if len(wrong) >= 50:
                rates.append((wrong.mean(), name))
        low, high = interval(hits, n)
        worst = max(rates)
        print(f"| {output} | {n} | {100 * hits / n:.2f} % | {100 * low:.2f} to {100 * high:.2f} | {worst[1]} {100 * worst[0]:.1f} % |")
    if args.sheet:
        args.sheet.mkdir(parents=True, exist_ok=True)
        for k, output in enumerate(OUTPUTS):
            bad = [(image, s[k], f[k]) for _, _, images, shares, found in everything for image, s, f in zip(images, shares, found)
                   if (s[k] >= COVERED and f[k] < args.threshold) or (s[k] <= FREE and f[k] >= args.threshold)]
            sheet([image for image, *_ in bad[:140]], [f"{s:.1f} {f:.1f}" for _, s, f in bad[:140]], args.sheet / f"wrong-{output}.png")


def sheet(images, words, path, columns=14):
    """A contact sheet, each picture with a few words."""
    cells = []
    for image, text in zip(images, words):
        cell = np.ascontiguousarray(image[:, :, ::-1])
        cv2.putText(cell, text, (1, 110), cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 255, 255), 1)
        cells.append(cell)
    if cells:
        cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
        cv2.imwrite(str(path), np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]))


def faces(args):
    """The set's own faces that the model flags, worst first, with their numbers: some of them are covered in fact."""
    pixels = np.load(args.bank / "pixels.npy", mmap_mode="r")
    model = Model(args.model)
    found = np.concatenate([model(pixels[i : i + 512, 8:120, 8:120]) for i in range(0, len(pixels), 512)])
    args.out.mkdir(parents=True, exist_ok=True)
    np.save(args.out / "shares.npy", found)
    for k, output in enumerate(OUTPUTS):
        order = np.argsort(-found[:, k])
        flagged = order[found[order, k] >= args.threshold]
        print(f"{output}: {len(flagged)} of {len(found)} faces are flagged")
        for page in range(min(4, -(-len(flagged) // 168))):
            rows = flagged[page * 168 : (page + 1) * 168]
            sheet([pixels[i, 8:120, 8:120] for i in rows], [f"{i}" for i in rows], args.out / f"{output}-{page}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["drawn", "faces"])
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--bank", required=True, type=Path, help="what ../embedder/faces.py wrote")
    parser.add_argument("--count", type=int, default=400, help="pictures of each kind of drawing")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--sheet", type=Path, help="folder for contact sheets of the errors")
    parser.add_argument("--out", type=Path, help="folder for contact sheets of the set's own faces")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    if args.what == "faces" and not args.out:
        parser.error("faces needs --out")
    (drawn if args.what == "drawn" else faces)(args)


if __name__ == "__main__":
    main()
