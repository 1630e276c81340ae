# SPDX-License-Identifier: Apache-2.0
"""How figures are written, the same in both reports."""
from bench import parts


def title(name):
    """What a part is called."""
    return parts.load(name).TITLE


def number(value):
    """Three digits that count."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def with_unit(value, unit):
    """Milliseconds and microseconds become seconds, bytes become larger units, where that reads better."""
    if value is None:
        return "–"
    steps = {"µs": ("µs", "ms", "s"), "ms": ("ms", "s"), "B": ("B", "kB", "MB", "GB")}.get(unit, (unit,))
    for step in steps[:-1]:
        if abs(value) < 1000:
            return f"{number(value)} {step}"
        value /= 1000
    text = f"{number(value)} {steps[-1]}".rstrip()
    return text.replace(" ×", "×")


def spread(values, unit):
    """min – max, empty for a single value."""
    return f"{with_unit(min(values), unit)} – {with_unit(max(values), unit)}" if len(values) > 1 else ""


def baseline(subjects, subject):
    """What a subject is compared with: Kourou with the same kind of pipeline, else the first of Kourou; None without one."""
    ours = [one for one in subjects if one.startswith("kourou")]
    kind = subject.partition(", ")[2].partition(",")[0]
    same = [one for one in ours if kind and one == f"kourou, {kind}"]
    plain = [one for one in ours if one == "kourou, plain"]
    return (same or plain or ours or [None])[0]


def against(results, part, case, subject, metric):
    """The median as a multiple of the baseline's, as text."""
    base = baseline(results.subjects(part, case), subject)
    mine, other = (results.median(part, case, one, metric) for one in (subject, base))
    return f"{number(mine / other)}×" if mine is not None and other else ""


def verdict(lines, failed=()):
    """What the report says at its end."""
    missed = [line for line in lines if line.state == "missed"]
    unknown = [line for line in lines if line.state == "not measured"]
    known = len(lines) - len(unknown)
    text = [f"All {known} budgets that were measured hold." if known and not missed else
            f"{len(missed)} of {known} budgets fall short:" if missed else "No budget was measured."]
    text += [f"  {line.budget.text}: {with_unit(line.value, line.budget.unit)}, "
             f"budget {line.sign} {with_unit(line.budget.limit, line.budget.unit)}" for line in missed]
    if unknown:
        text.append(f"{len(unknown)} budgets were not measured.")
    if failed:
        text.append(f"Parts that FAILED: {', '.join(failed)}")
    return text
