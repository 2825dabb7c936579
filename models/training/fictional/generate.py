"""Makes the set of fictional people: samples, paints, checks, and writes pictures and manifest. Resumable.

With --models and --real-vectors every person is checked before it is kept: found by both detectors, like itself, unlike
all others of the set, and no near copy of any face the model was fitted to. Without them all samples are kept, which
does for load tests.
"""

import argparse
import csv
import hashlib
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "embedder"))

from capture import HARD, capture  # noqa: E402
from fit import face_mask  # noqa: E402
from portrait import CLOTHES, Person, face_texture, painted_body  # noqa: E402

# Teacher's cosines that a person must keep to.
NEAREST_REAL = 0.50
# How like another person of the set, and the same for the bare sampled faces before anything is painted, which spares most
# of the work. Where a set grows past the first number of people, the second pair holds: the space of faces fills up.
FIRST_PEOPLE = 59
NEAREST_OTHER = (0.35, 0.42)
NEAREST_BARE = (0.29, 0.38)
LEAST_SELF = 0.55
LEAST_EYES = 58.0
COLUMNS = ("path", "subject", "capture", "kind", "enrolled", "sha256")

# Hair by the group's look (UTKFace's ethnicity code) and age class.
YOUNG = {0: ("dark", "brown", "brown", "fair", "fair", "red"), 1: ("black",), 2: ("black", "black", "dark"),
         3: ("black", "dark"), 4: ("black", "dark", "brown")}


def sampled(model, number, seed):
    """The person number `number` of a seed; the groups of age, gender and look take turns."""
    rng = np.random.default_rng([seed, number])
    row = number % len(model["groups"])
    gender, look, age = model["groups"][row].astype(int)
    # The first components are what faces differ in; the last, mostly one picture's grain.
    reach = np.where(np.arange(len(model["spread"])) < 60, 0.92, 0.8).astype(np.float32)
    deviation = np.clip(rng.standard_normal(len(reach)), -2.2, 2.2).astype(np.float32)
    face = model["centres"][row] + reach * model["spread"] * deviation
    greying = rng.random() < (0.0, 0.2, 0.75)[age]
    hair = rng.choice(("grey", "white", "grey") if greying else YOUNG[look])
    if gender == 1:
        length = rng.uniform(0.4, 1.0) if rng.random() < 0.8 else rng.uniform(0.15, 0.33)
    else:
        length = 0.0 if rng.random() < (0.05, 0.15, 0.3)[age] else rng.uniform(0.05, 0.33)
    hairline = rng.uniform(17, 25) if gender == 1 else rng.uniform(14, 22) - 2 * age
    return Person(
        face=face, hair=str(hair), length=float(length), volume=float(rng.uniform(1, 7)), hairline=float(hairline),
        parting=float(rng.uniform(0, 2 * np.pi)), clothes=CLOTHES[rng.integers(len(CLOTHES))],
        collar=int(rng.integers(3)), seed=int(rng.integers(2**31)),
    )


def pictures(model, person, number, seed, plain, hard):
    """(name, kind, JPEG bytes) of each capture of a person, one by one."""
    body = painted_body(model, person)
    kinds = [("enrol", "enrol")] + [(f"plain-{k + 1}", "plain") for k in range(plain)]
    kinds += [(f"hard-{HARD[(number // 30 + number + k) % 4]}", HARD[(number // 30 + number + k) % 4]) for k in range(hard)]
    for i, (name, kind) in enumerate(kinds):
        yield name, kind, capture(model, person, body, kind, np.random.default_rng([seed, number, i]))


class Check:
    """Teacher, both detectors, and the vectors of the real faces."""

    def __init__(self, models, vectors):
        from align import Scrfd, crop
        from teacher import Teacher

        self.scrfd, self.crop = Scrfd(str(models / "scrfd_500m_bnkps_320.onnx")), crop
        self.teacher = Teacher(str(models / "mobilefacenet.onnx"))
        self.yunet = cv2.FaceDetectorYN.create(str(models / "yunet_n_320_320.onnx"), "", (320, 320), 0.7)
        self.real = np.load(vectors)

    def template(self, jpeg, plain=True):
        """The teacher's vector, or None where a detector misses the face or the eyes are too near each other."""
        bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        rgb = np.ascontiguousarray(bgr[:, :, ::-1])
        found = self.scrfd.best(rgb)
        if found is None or (plain and np.linalg.norm(found[2][0] - found[2][1]) < LEAST_EYES):
            return None
        if plain and self.yunet.detect(cv2.resize(bgr, (320, 320)))[1] is None:
            return None
        return self.teacher(self.crop(rgb, found[2])[None])[0]

    def bare(self, model, person):
        """The teacher's vector of the sampled face alone."""
        face, around, _ = face_texture(model, person.face)
        known = model["inside"][:, :, None]
        return self.teacher(np.clip(np.where(known, face, around), 0, 255).astype(np.uint8)[None, 8:120, 8:120])[0]

    def kept(self, captures, others):
        """The captures and the enrolment's vector, or why the person cannot be kept; stops at the first fault."""
        found, enrol = [], None
        for name, kind, jpeg in captures:
            found.append((name, kind, jpeg))
            if kind not in ("enrol", "plain"):
                continue
            vector = self.template(jpeg)
            if vector is None:
                return None, "not found by a detector"
            enrol = vector if enrol is None else enrol
            if float(enrol @ vector) < LEAST_SELF:
                return None, "too unlike itself"
            if others and float((np.stack(others) @ vector).max()) > NEAREST_OTHER[len(others) >= FIRST_PEOPLE]:
                return None, "too like another"
            if float((self.real @ vector).max()) > NEAREST_REAL:
                return None, "too like a real face"
        return found, enrol


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the .npz that fit.py wrote")
    parser.add_argument("--out", required=True, help="folder to write to")
    parser.add_argument("--enrolled", type=int, default=100)
    parser.add_argument("--unknown", type=int, default=50)
    parser.add_argument("--plain", type=int, default=3, help="plain captures beside the enrolment's, each person")
    parser.add_argument("--hard", type=int, default=2, help="hard captures, each enrolled person")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--models", type=Path, help="folder with SCRFD, YuNet and the teacher, for the checks")
    parser.add_argument("--real-vectors", type=Path, help="vectors.npy of faces.py, for the check against real faces")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    stored = np.load(args.model)
    model = {name: stored[name].astype(np.float32) for name in stored.files}
    model["inside"] = face_mask() > 0
    if (args.models is None) != (args.real_vectors is None):
        sys.exit("generate: --models and --real-vectors go together")
    check = Check(args.models, args.real_vectors) if args.models else None

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    manifest, refused = out / "manifest.csv", {}
    rows = list(csv.DictReader(manifest.open())) if manifest.exists() else []
    done = list(dict.fromkeys(row["subject"] for row in rows))
    number = 1 + max((int(subject[1:]) for subject in done), default=-1)
    others, bare = [], []
    for subject in done if check else ():
        this = int(subject[1:])
        person = sampled(model, this, args.seed)
        bare.append(check.bare(model, person))
        kept = out / "enrolled" / subject / "enrol.jpg"
        # The enrolment picture of an unknown person is not kept: it is painted again.
        others.append(check.template(kept.read_bytes() if kept.exists() else next(pictures(model, person, this, args.seed, 0, 0))[2]))
    with manifest.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not rows:
            writer.writeheader()
        while len(done) < args.enrolled + args.unknown:
            # One unknown person after every so many enrolled ones, so that an unfinished set has both.
            enrolled = (len(done) + 1) * args.unknown // (args.enrolled + args.unknown) == len(done) * args.unknown // (args.enrolled + args.unknown)
            person, this = sampled(model, number, args.seed), number
            number += 1
            captures = pictures(model, person, this, args.seed, args.plain, args.hard if enrolled else 1)
            if check:
                vector = check.bare(model, person)
                if bare and float((np.stack(bare) @ vector).max()) > NEAREST_BARE[len(bare) >= FIRST_PEOPLE]:
                    captures, enrol = None, "too like another before painting"
                else:
                    captures, enrol = check.kept(captures, others)
                if captures is None:
                    refused[enrol] = refused.get(enrol, 0) + 1
                    continue
                bare.append(vector)
                others.append(enrol)
            subject = f"{'f' if enrolled else 'u'}{this:04d}"
            for name, kind, jpeg in captures:
                if not enrolled and name == "enrol":
                    continue
                path = Path("enrolled" if enrolled else "unknown") / subject / f"{name}.jpg"
                (out / path).parent.mkdir(parents=True, exist_ok=True)
                (out / path).write_bytes(jpeg)
                writer.writerow(dict(zip(COLUMNS, (path.as_posix(), subject, name, kind, "yes" if enrolled else "no", hashlib.sha256(jpeg).hexdigest()))))
            file.flush()
            done.append(subject)
    print(f"generate: {args.enrolled} enrolled and {args.unknown} unknown people from {number} samples; refused: {refused or 'none'}")


if __name__ == "__main__":
    main()
