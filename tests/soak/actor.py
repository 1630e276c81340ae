# SPDX-License-Identifier: Apache-2.0
"""Everybody who does something to the server."""
import random
import threading


class Actor(threading.Thread):
    """What it does by chance follows from the soak's seed and its own name."""

    def __init__(self, soak, name):
        super().__init__(daemon=True, name=name)
        self.soak, self.ledger = soak, soak.ledger
        self.rng = random.Random(f"{soak.seed} {name}")

    def choose(self, kinds):
        """One of [(function, weight)]."""
        return self.rng.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
