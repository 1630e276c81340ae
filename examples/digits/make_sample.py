# SPDX-License-Identifier: Apache-2.0
"""Writes sample.json: an image of the data set that the model was not trained on."""

import json
import pathlib
from typing import Any

from sklearn.datasets import load_digits

NUMBER = 1600  # not among the first 1500, which the model is trained on


def main() -> None:
    data: Any = load_digits()
    image = data.images[NUMBER].astype(int).tolist()
    rows = ",\n ".join(json.dumps(row) for row in image)
    pathlib.Path(__file__).with_name("sample.json").write_text(f"[{rows}]\n")


if __name__ == "__main__":
    main()
