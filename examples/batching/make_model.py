# SPDX-License-Identifier: Apache-2.0
"""Trains a forest on the handwritten digits that scikit-learn ships: made/digits.joblib."""

from pathlib import Path

import joblib
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

pixels, digits = load_digits(return_X_y=True)
train, test, train_digits, test_digits = train_test_split(pixels, digits, random_state=0)
model = RandomForestClassifier(50, random_state=0)
model.fit(train, train_digits)
print(f"{model.score(test, test_digits):.0%} of {len(test)} digits that it has not seen are right")

made = Path(__file__).parent / "made"
made.mkdir(exist_ok=True)
joblib.dump(model, made / "digits.joblib")
