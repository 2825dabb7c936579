"""The figures of `clearlane eval lfw --all-pairs`, computed again by NumPy from the same templates.

    clearlane eval lfw lfw/ --all-pairs --json --templates-out templates.csv > figures.json
    python figures_lfw.py templates.csv figures.json

All pairs in double precision, in blocks; sorted, not binned. Nothing here follows the crate's code. Ends with an error where
a count differs by more than the comparisons that lie within a rounding error (1e-6) of the threshold.
"""
import csv
import json
import sys

import numpy as np

ROUNDING = 1e-6
BLOCK = 512


def read(path):
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    _, subjects = np.unique([row[0] for row in rows], return_inverse=True)
    return subjects, np.array([row[1:] for row in rows], dtype=np.float64)


def all_scores(subjects, templates):
    templates = templates / np.linalg.norm(templates, axis=1, keepdims=True)
    mated, non_mated = [], []
    for start in range(0, len(templates), BLOCK):
        scores = templates[start:start + BLOCK] @ templates.T
        rows = np.arange(start, start + len(scores))[:, None]
        later = np.arange(len(templates))[None] > rows
        same = subjects[rows] == subjects[None]
        mated.append(scores[later & same])
        # Single precision holds the non-mated ones in half the memory; its error is a fiftieth of the tolerance.
        non_mated.append(scores[later & ~same].astype(np.float32))
    return np.sort(np.concatenate(mated)), np.sort(np.concatenate(non_mated))


def equal_error_rate(mated, non_mated):
    low, high = -1.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        fnmr = np.searchsorted(mated, middle) / len(mated)
        fmr = 1 - np.searchsorted(non_mated, middle) / len(non_mated)
        low, high = (middle, high) if fnmr < fmr else (low, middle)
    return (fnmr + fmr) / 2


def main(templates, figures):
    ours = json.load(open(figures))["figures"]
    mated, non_mated = all_scores(*read(templates))
    worst = 0

    def check(what, mine, theirs, tolerance):
        nonlocal worst
        wrong = abs(mine - theirs) > tolerance
        worst += wrong
        print(f"{what:34} clearlane {mine:<14.10g} NumPy {theirs:<14.10g} {'DIFFERS' if wrong else 'equal'}")

    check("mated comparisons", ours["mated"], len(mated), 0)
    check("non-mated comparisons", ours["non_mated"], len(non_mated), 0)
    check("EER", ours["eer"], equal_error_rate(mated, non_mated), 2 / len(mated))
    auc = np.searchsorted(non_mated, mated.astype(np.float32)).mean() / len(non_mated)
    check("AUC", ours["auc"], auc, 1e-6)
    for point, rates in zip(ours["fnmr_at_fmr"], ours["rates"]):
        threshold, target = point["threshold"], point["target_fmr"]
        near = lambda scores: np.diff(np.searchsorted(scores, [threshold - ROUNDING, threshold + ROUNDING]))[0]
        exact = non_mated[len(non_mated) - 1 - int(target * len(non_mated) * (1 + 1e-12))]
        check(f"threshold at FMR {target:.0e}", threshold, float(exact), ROUNDING)
        matches = len(non_mated) - np.searchsorted(non_mated, threshold)
        check(f"false matches at FMR {target:.0e}", rates["fmr"]["events"], matches, near(non_mated))
        missed = np.searchsorted(mated, threshold)
        check(f"false non-matches at FMR {target:.0e}", point["fnmr"]["events"], missed, near(mated))
    sys.exit(1 if worst else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
