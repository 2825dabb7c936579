"""Writes packed-2.bin to packed-5.bin: a list of pictures and one of labels, as Python's pickle writes them by each protocol, and
packed.json: the SHA-256 of each picture, and the labels. Run once; the tests read the files.

One picture is a real file, of a person who does not exist; one occurs twice, so that the pickle refers back; the others are
noise of every length at which a pickler changes its opcode. There are more than a thousand, so that a list is written in parts.
"""
import hashlib
import json
import pathlib
import pickle
import random

here = pathlib.Path(__file__).parent
random.seed(20241120)
face = (here / "../../../../datasets/fictional/enrolled/f0000/enrol.jpg").read_bytes()
noise = [random.randbytes(length) for length in (1, 2, 255, 256, 257)]
few = [bytes([value]) + b"." for value in range(256)]
pictures = [face, noise[0], face, *noise, *few, *few, *few, *few]
labels = [random.random() < 0.5 for _ in range(len(pictures) // 2)]
for protocol in range(2, 6):
    (here / f"packed-{protocol}.bin").write_bytes(pickle.dumps((pictures, labels), protocol))
digests = [hashlib.sha256(picture).hexdigest() for picture in pictures]
(here / "packed.json").write_text(json.dumps({"pictures": digests[:8], "all": hashlib.sha256(b"".join(pictures)).hexdigest(), "labels": labels}) + "\n")
