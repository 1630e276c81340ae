# SPDX-License-Identifier: Apache-2.0
"""Recognises handwritten digits: scikit-learn's bundled images of 8 by 8 pixels.

The model is trained once when a worker starts, always with the same result, and shared by all requests.
"""

from typing import Annotated, Any, Dict, List

import numpy as np
from pydantic import BaseModel, Field
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kourou import get_step_context, pipeline, step

Pixel = Annotated[float, Field(ge=0, le=16, strict=True)]
Row = Annotated[List[Pixel], Field(min_length=8, max_length=8)]
Image = Annotated[List[Row], Field(min_length=8, max_length=8, description="8 rows of 8 pixels, 0 (white) to 16")]


class Prediction(BaseModel):
    """The likeliest digit, and how likely each one is."""

    digit: int = Field(ge=0, le=9)
    probabilities: Dict[str, float]


def train_model(seed: int = 0, images: int = 1500) -> Any:
    """Trains on the first images of the data set. The others are left for testing."""
    data: Any = load_digits()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=seed))
    model.fit(data.data[:images] / 16.0, data.target[:images])
    return model


@step
def scale(image: Image) -> Annotated[List[float], "pixels"]:
    """Makes one row of numbers from 0 to 1 out of the image."""
    pixels: List[float] = (np.asarray(image, dtype=float).ravel() / 16.0).tolist()
    return pixels


@step
def predict(pixels: List[float]) -> Annotated[Prediction, "prediction"]:
    """Asks the model."""
    model = get_step_context().pipeline_state
    shares = model.predict_proba([pixels])[0]
    best = int(np.argmax(shares))
    return Prediction(digit=best, probabilities={str(d): round(float(p), 6) for d, p in enumerate(shares)})


@pipeline(on_init=train_model, on_init_kwargs={"seed": 0})
def predict_digit(image: Image) -> Prediction:
    """Says which digit an image of 8 by 8 pixels shows."""
    return predict(scale(image))
