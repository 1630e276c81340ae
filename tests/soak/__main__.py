# SPDX-License-Identifier: Apache-2.0
"""python -m tests.soak --seconds 120 --seed 1"""
import argparse
import random
import sys

from .run import Soak


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="A server under trouble of every kind; "
                                     "afterwards the counts of clients, server, journal and pipeline must match")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=None, help="repeats an earlier choice (timing still differs)")
    parser.add_argument("--good", type=int, default=6, help="clients that keep to the rules")
    parser.add_argument("--rude", type=int, default=4, help="clients that do not")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.randrange(1 << 30)
    print(f"seed {seed}", flush=True)
    soak = Soak(args.seconds, seed, good=args.good, rude=args.rude)
    fine = soak.run()
    print("\n".join(soak.report()))
    return 0 if fine else 1


sys.exit(main())
