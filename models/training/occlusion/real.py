"""The few faces of the set that are covered in fact, by `covered.txt`: real sunglasses and hats for other faces to wear.

The list was made by eye among those that a first network, taught by drawings alone, flagged. Its `unclear` ones are hats,
tinted glasses, hands and things before a mouth of which no share can be told: nothing is learned from them. Its `seen` ones
are glasses and shadows that the network before this one answered most for, though the eyes behind them are seen.
"""

import json
from pathlib import Path

import cv2
import numpy as np

from canvas import EYES, XS, YS, soft
from views import matched

LIST = Path(__file__).parent / "covered.txt"


class Real:
    def __init__(self, bank, pixels):
        numbers = {name: number for number, name in enumerate(json.loads((bank / "names.json").read_text()))}
        lines = [line.split() for line in LIST.read_text().splitlines()]
        self.all = np.array([numbers[name] for kind, name in lines if kind != "seen"])
        held = set(np.load(bank / "held.npy").tolist())
        worn = {kind: [numbers[name] for k, name in lines if k == kind] for kind in ("sunglasses", "hat", "seen")}
        self.worn = {kind: [pixels[n] for n in chosen if n not in held] for kind, chosen in worn.items()}

    def put_on(self, rng, canvas, kind):
        """Gives the face what another wears, with its surroundings, in the face's own light, mirrored as often as not."""
        other = self.worn[kind][rng.integers(len(self.worn[kind]))].astype(np.float32)
        other = other[:, ::-1] if rng.random() < 0.5 else other
        if rng.random() < 0.7:
            other = matched(np.ascontiguousarray(other), canvas.image)
        if kind == "hat":
            edge = np.float32(rng.uniform(44, 52))
            canvas.lay(soft((edge - YS) / np.float32(rng.uniform(1, 3))).astype(np.float32), other, hides=0)
            # Its lower edge lies somewhere about the middle of the brow.
            over = soft((np.float32(34) - YS) / 4).astype(np.float32)
            canvas.hat = np.maximum(canvas.hat, over)
            canvas.covered = np.maximum(canvas.covered, over)
        else:
            if rng.random() < 0.7:
                turn = cv2.getRotationMatrix2D((64, 60), rng.normal(0, 3), rng.uniform(0.92, 1.1))
                turn[:, 2] += rng.normal(0, 1.5, 2)
                other = cv2.warpAffine(np.ascontiguousarray(other), turn, (128, 128), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
            away = np.sqrt(((XS - 64) / rng.uniform(46, 56)) ** 2 + ((YS - 61) / rng.uniform(18, 22)) ** 2)
            canvas.lay(soft((1 - away) * np.float32(12)).astype(np.float32), other, hides=0)
            for eye in EYES if kind == "sunglasses" else ():
                lens = soft((1 - np.sqrt(((XS - eye[0]) / 15) ** 2 + ((YS - eye[1] - 2) / 10) ** 2)) * 10)
                canvas.covered = np.maximum(canvas.covered, lens.astype(np.float32))
