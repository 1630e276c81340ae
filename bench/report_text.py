# SPDX-License-Identifier: Apache-2.0
"""The report for a terminal."""
from bench.format import against, number, spread, title, verdict, with_unit


def text(results, lines, failed=()):
    out = ["", "Machine:  " + ", ".join(f"{name} {value}" for name, value in results.machine.items()),
           "Versions: " + ", ".join(f"{name} {value}" for name, value in results.versions.items())]
    for part in dict.fromkeys([*(sample.part for sample in results.samples.values()), *results.notes]):
        out += ["", heading(title(part), results.seconds.get(part))]
        for case in results.cases(part):
            out += table(results, part, case)
        out += [f"  Note: {note}" for note in results.notes.get(part, [])]
    out += ["", heading("Budgets")]
    out += budgets(lines)
    return "\n".join([*out, "", *verdict(lines, failed)])


def heading(name, seconds=None):
    name += f" ({seconds:.0f} s)" if seconds else ""
    return f"{name}\n{'=' * len(name)}"


def table(results, part, case):
    """A row for each subject, medians; the spread of the first metric behind it."""
    metrics, subjects = results.metrics(part, case), results.subjects(part, case)
    units = {}
    for metric in metrics:
        units[metric] = next((unit for one in subjects if (unit := results.unit(part, case, one, metric))), "")
    rows = [[case, *(f"{metric} {unit}".strip() for metric, unit in units.items()), f"{metrics[0]}: min – max", "to kourou's"]]
    for subject in subjects:
        values = results.values(part, case, subject, metrics[0])
        rows.append([subject, *(number(results.median(part, case, subject, metric)) for metric in metrics),
                     spread(values, units[metrics[0]]) if values else "",
                     against(results, part, case, subject, metrics[0])])
    return ["", *columns(rows)]


def columns(rows):
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
            for row in rows]


def budgets(lines):
    rows = [[line.budget.text, with_unit(line.value, line.budget.unit),
             f"{line.sign} {with_unit(line.budget.limit, line.budget.unit)}",
             line.state.upper() if line.state == "missed" else line.state] for line in lines]
    return columns(rows) if rows else []
