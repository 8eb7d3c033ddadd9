# SPDX-License-Identifier: Apache-2.0
"""Trains the classifier on the wine data that scikit-learn ships: made/wine.joblib."""

from pathlib import Path

import joblib
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

data = load_wine()
train, test, train_classes, test_classes = train_test_split(
    data.data, data.target, test_size=0.25, random_state=0, stratify=data.target)
model = make_pipeline(StandardScaler(), LogisticRegression())
model.fit(train, train_classes)
print(f"{model.score(test, test_classes):.0%} of {len(test)} wines that it has not seen are right")

made = Path(__file__).parent / "made"
made.mkdir(exist_ok=True)
joblib.dump({"model": model, "columns": list(data.feature_names),
             "classes": data.target_names.tolist()}, made / "wine.joblib")
