"""An aligned face that things are drawn upon, and what of it they cover.

All places are pixels of the 128 x 128 faces: the ArcFace template of 112 pixels with 8 pixels around it.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "embedder"))

from views import SOURCE, XS, YS, smooth_noise, soft  # noqa: E402, F401

EYES = np.array([[46.3, 59.7], [81.5, 59.5]], np.float32)
NOSE = np.array([64.0, 79.7], np.float32)
MOUTH = np.array([64.1, 100.3], np.float32)


def ellipse(centre, radii):
    """1 within the ellipse, 0 outside."""
    return ((XS - centre[0]) / radii[0]) ** 2 + ((YS - centre[1]) / radii[1]) ** 2 <= 1


# What the shares are of: lips and what is about them, both eyes with their lids, the face from brow to chin, the brow.
MOUTH_AREA = ellipse(MOUTH, (17, 9))
EYE_AREAS = [ellipse(eye, (11, 6)) for eye in EYES]
FACE_AREA = ellipse((64, 82), (41, 50)) & (YS >= 38) & (YS < 120)
BROW_AREA = (YS >= 8) & (YS < 42) & (XS >= 22) & (XS < 106)


class Canvas:
    """`image` is the picture so far, `covered` how much of each pixel's face is hidden, `hat` the same for what is worn on the head."""

    def __init__(self, face):
        self.image = np.array(face, np.float32)
        self.covered = np.zeros((SOURCE, SOURCE), np.float32)
        self.hat = np.zeros((SOURCE, SOURCE), np.float32)
        grey = cv2.resize(cv2.GaussianBlur(cv2.resize(self.image[:, :, 1], (32, 32), interpolation=cv2.INTER_AREA), (0, 0), 3.5), (SOURCE, SOURCE))
        # How the light falls upon the face, so that what is drawn stands in the same light.
        self.light = np.clip(grey / (grey[30:110, 25:103].mean() + 1), 0.4, 1.8)
        self.level = float(np.clip(grey[30:110, 25:103].mean() / 130, 0.35, 1.4))
        self.skin = np.median(self.image[70:96, 30:98].reshape(-1, 3), 0).astype(np.float32)

    def lay(self, alpha, colour, hides=1.0, worn_on_head=False):
        """Lays `colour`, a picture or one colour, where `alpha` says; as far as it `hides`, the face is covered."""
        part = extent(alpha)
        a, colour = alpha[part][:, :, None], np.asarray(colour, np.float32)
        colour = colour[part] if colour.ndim == 3 else colour
        image = self.image[part]
        image += (np.clip(colour, 0, 255) - image) * a
        np.maximum(self.covered[part], alpha[part] * np.float32(hides), out=self.covered[part])
        if worn_on_head:
            np.maximum(self.hat[part], alpha[part], out=self.hat[part])

    def tint(self, alpha, factor):
        """Multiplies the picture where `alpha` says: what is painted on the skin, or falls upon it, hides nothing."""
        part = extent(alpha)
        self.image[part] *= 1 + alpha[part][:, :, None] * (np.asarray(factor, np.float32) - 1)

    def shares(self):
        """The covered shares of mouth, eyes and face, and the share of the brow under what is worn on the head."""
        eyes = np.mean([self.covered[area].mean() for area in EYE_AREAS])
        return np.array([self.covered[MOUTH_AREA].mean(), eyes, self.covered[FACE_AREA].mean(), self.hat[BROW_AREA].mean()], np.float32)


def extent(alpha):
    """The rows and columns in which `alpha` is not nothing."""
    seen = cv2.boundingRect((alpha > 0.004).view(np.uint8))
    return slice(seen[1], seen[1] + seen[3]), slice(seen[0], seen[0] + seen[2])


def rounded(points, times=2):
    """A closed outline with its corners cut (Chaikin)."""
    points = np.asarray(points, np.float32)
    for _ in range(times):
        following = np.roll(points, -1, 0)
        points = np.stack([points * 0.75 + following * 0.25, points * 0.25 + following * 0.75], 1).reshape(-1, 2)
    return points


def filled(points, blur=0.0):
    """The inside of an outline, its edge soft."""
    mask = np.zeros((SOURCE, SOURCE), np.uint8)
    cv2.fillPoly(mask, [np.round(np.asarray(points) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    mask = mask.astype(np.float32) / 255
    return cv2.GaussianBlur(mask, (0, 0), blur) if blur > 0.3 else mask


def stroked(points, width, closed=False):
    """A line along the points."""
    mask = np.zeros((SOURCE, SOURCE), np.uint8)
    cv2.polylines(mask, [np.round(np.asarray(points) * 16).astype(np.int32)], closed, 255, max(int(round(width)), 1), cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def about(rng, centre, spread):
    """A value near `centre`."""
    return centre + rng.uniform(-spread, spread)
