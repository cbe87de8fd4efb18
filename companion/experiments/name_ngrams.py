"""Laboratory D: n-grams of letters, weighted in several ways, under linear models."""

import numpy as np
import torch
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC
from torch import Tensor

from companion import datasets

K = len(datasets.LANGUAGES)
WEIGHTINGS = ("binary", "binary, length 1", "counts", "tf-idf", "sublinear tf-idf")


def features(train, names, weighting: str, order: int, marks: bool = True):
    """Weigh the pieces of 1 ... ``order`` characters; two sparse matrices."""
    vectors = CountVectorizer(
        analyzer="char",
        ngram_range=(1, order),
        lowercase=False,
        preprocessor=(lambda name: f"^{name}$") if marks else (lambda name: name),
    )
    X, Z = vectors.fit_transform(train[0]).astype(float), vectors.transform(names)
    Z = Z.astype(float)
    if weighting.startswith("binary"):
        X, Z = X.sign(), Z.sign()
    if weighting == "binary, length 1":
        X, Z = normalize(X), normalize(Z)
    if weighting.endswith("tf-idf"):
        rare = TfidfTransformer(sublinear_tf=weighting.startswith("sub")).fit(X)
        X, Z = rare.transform(X), rare.transform(Z)
    return X, Z


def regression(C: float, weight=None, tolerance: float = 1e-6) -> LogisticRegression:
    """A multinomial logistic regression that is told to converge."""
    return LogisticRegression(
        C=C, class_weight=weight, tol=tolerance, max_iter=20_000, warm_start=True
    )


def regression_path(
    train, names, weighting, order, Cs, marks=True, weight=None, tolerance=1e-6
):
    """Fit one regression for each C, each from the one before: C to (logs, steps)."""
    X, Z = features(train, names, weighting, order, marks)
    model, found = regression(Cs[0], weight, tolerance), {}
    for C in Cs:
        model.set_params(C=C).fit(X, train[1])
        found[C] = _all(model, model.predict_log_proba(Z)), int(model.n_iter_[0])
    return found


def _all(model, logs) -> Tensor:
    """Place the columns of the classes that were fitted among all K."""
    table = torch.full((len(logs), K), -50.0, dtype=torch.float64)
    table[:, torch.from_numpy(model.classes_)] = torch.from_numpy(logs)
    return table.log_softmax(1)


def other_logs(train, names, kind: str, weighting: str, order: int, **options):
    """Fit a linear SVM, complement naive Bayes or nearest neighbours; log-scores.

    Those of the first two are no log-probabilities before they are scaled.
    """
    X, Z = features(train, names, weighting, order)
    if kind == "SVM":
        model = LinearSVC(**options, random_state=0).fit(X, train[1])
        scores = model.decision_function(Z)
    elif kind == "naive Bayes":
        model = ComplementNB(**options).fit(X, train[1])
        scores = model.predict_joint_log_proba(Z)
    else:
        model = KNeighborsClassifier(metric="cosine", weights="distance", **options)
        # A class without a neighbour is improbable, not impossible.
        scores = np.log(model.fit(X, train[1]).predict_proba(Z) + 1e-3)
    return _all(model, scores)
