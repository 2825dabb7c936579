"""Gathers pictures without faces: photographs for backgrounds, cut-out objects for clutter.

    python backgrounds.py --pictures DIR [DIR ...] --models DIR --out DIR

Any folder of freely licensed photographs will do (desktop wallpapers, object stamps with transparency). A picture in
which a teacher sees a face at any of three scales is dropped. Every fifth picture goes to `held` and is never trained on.
"""

import argparse
import re
from pathlib import Path

import cv2
import numpy as np

from common import letterbox, pictures
from teachers import HeadsOfTwelve, RetinaFace

PEOPLE = re.compile(r"people|faces|cartoon|alphabet|math|body|astronaut|camera\.png|horse\.png|friends|screenshot", re.I)


def flattened(image):
    """BGR of a picture that may have transparency or one channel."""
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    if image.shape[2] == 3:
        return image
    alpha = image[..., 3:].astype(np.float32) / 255
    return (image[..., :3] * alpha + 127 * (1 - alpha)).astype(np.uint8)


def shows_a_face(image, yunet, retina):
    """Whether a teacher scores any place above 0.5, looked at whole, in halves and small."""
    height, width = image.shape[:2]
    looks = [image, image[:, : width // 2], image[:, width // 2 :], image[: height // 2], image[height // 2 :]]
    for look in looks:
        if yunet.find(letterbox(look, 320)[0])[0].max() > 0.6 or retina.find(letterbox(look, 640)[0])[0].max() > 0.6:
            return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", required=True, nargs="+")
    parser.add_argument("--models", required=True)
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    yunet, retina = HeadsOfTwelve(args.models, "yunet_n_320_320.onnx"), RetinaFace(args.models)
    kept, dropped, seen = 0, 0, set()
    for root in args.pictures:
        for path in pictures(root, "pictures"):
            if PEOPLE.search(str(path.relative_to(root))):
                continue
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if image is None or min(image.shape[:2]) < 64 or image.dtype != np.uint8:
                continue
            scale = min(1.0, 1000 / max(image.shape[:2]))
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            flat = flattened(image)
            print_ = cv2.resize(flat, (12, 12), interpolation=cv2.INTER_AREA) // 24
            if print_.tobytes() in seen:
                continue
            seen.add(print_.tobytes())
            if shows_a_face(flat, yunet, retina):
                dropped += 1
                continue
            part = args.out / ("held" if kept % 5 == 4 else "train")
            part.mkdir(parents=True, exist_ok=True)
            cut_out = image.ndim == 3 and image.shape[2] == 4 and (image[..., 3] < 20).mean() > 0.05
            if cut_out:
                scale = min(1.0, 320 / max(image.shape[:2]))
                small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
                cv2.imwrite(str(part / f"object-{kept:04}.png"), small)
            else:
                cv2.imwrite(str(part / f"photo-{kept:04}.jpg"), flat, [cv2.IMWRITE_JPEG_QUALITY, 93])
            kept += 1
    print(f"{kept} pictures kept, {dropped} dropped because a teacher saw a face")


if __name__ == "__main__":
    main()
