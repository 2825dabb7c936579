"""Writes figures.json: scores, and what numpy, scipy and scikit-learn say of them. Run once; the tests read the file.

Nothing here follows the crate's code: ROC, AUC and EER come from scikit-learn and scipy, intervals from scipy's
binomtest, ten-fold accuracy from a search over every threshold that could matter.
"""
import json
import pathlib

import numpy as np
from scipy import stats
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve

rng = np.random.default_rng(20241120)


def scores(mated, non_mated, decimals):
    """Rounded, so that ties occur within and across the kinds."""
    draw = lambda mean, sd, n: np.round(np.clip(rng.normal(mean, sd, n), -1, 1), decimals).astype(np.float32)
    return draw(0.45, 0.18, mated), draw(0.05, 0.15, non_mated)


def curve(mated, non_mated):
    truth = np.r_[np.ones(len(mated)), np.zeros(len(non_mated))]
    values = np.r_[mated, non_mated]
    fpr, tpr, thresholds = roc_curve(truth, values, drop_intermediate=False)
    eer = brentq(lambda x: 1 - x - interp1d(fpr, tpr)(x), 0, 1)
    at = {}
    for target in (0.2, 0.1, 0.02):
        allowed = np.flatnonzero(fpr <= target)[-1]
        at[str(target)] = {"tar": tpr[allowed], "far": fpr[allowed]}
    return {"mated": mated.tolist(), "non_mated": non_mated.tolist(), "auc": roc_auc_score(truth, values),
            "eer": eer, "tar_at_far": at}


def ten_folds():
    folds, per = 10, 12
    mated, non_mated = scores(folds * per, folds * per, 3)
    fold = np.tile(np.repeat(np.arange(folds), per), 2)
    truth = np.repeat([True, False], folds * per)
    value = np.r_[mated, non_mated].astype(np.float64)
    accuracies = []
    for held in range(folds):
        train, test = fold != held, fold == held
        known = np.unique(value[train])
        candidates = np.r_[known[0], (known[1:] + known[:-1]) / 2, known[-1] + 1e-6]
        right = np.array([np.sum((value[train] >= t) == truth[train]) for t in candidates])
        best = candidates[np.flatnonzero(right == right.max())]
        accuracies.append(np.mean((value[test] >= best[len(best) // 2]) == truth[test]))
    return {"fold": fold.tolist(), "mated": truth.tolist(), "score": value.tolist(), "accuracies": accuracies,
            "mean": np.mean(accuracies), "standard_error": stats.sem(accuracies)}


def interval(events, trials, confidence):
    test = stats.binomtest(events, trials)
    wilson, exact = (test.proportion_ci(confidence, method) for method in ("wilson", "exact"))
    return {"events": events, "trials": trials, "confidence": confidence,
            "wilson": [wilson.low, wilson.high], "exact": [exact.low, exact.high]}


figures = {
    "curves": [curve(*scores(60, 150, 2)), curve(*scores(41, 37, 1)), curve(*scores(500, 500, 4))],
    "ten_folds": ten_folds(),
    "intervals": [interval(e, n, c) for e, n, c in [(0, 10, .95), (10, 10, .95), (1, 3000, .95), (17, 120, .9),
                                                    (2991, 3000, .95), (5, 1000000, .99)]],
    # The threshold that a normal distribution's upper tail reaches with these probabilities.
    "normal_tail": {str(p): stats.norm.isf(p) for p in (1e-2, 1e-3, 1e-5, 1e-6)},
}
pathlib.Path(__file__).with_name("figures.json").write_text(json.dumps(figures))
