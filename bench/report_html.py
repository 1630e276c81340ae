# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML page that needs nothing from elsewhere."""
from html import escape
from pathlib import Path

from bench import plots
from bench.format import against, spread, title, verdict, with_unit

STYLE = (Path(__file__).resolve().parent / "report.css").read_text()
MORE_IS_BETTER = ("throughput", "answers")
LIMITS = ("bare C", "nginx")
HIDDEN = ("errors",)


def page(results, lines, failed=()):
    names = list(dict.fromkeys([*(sample.part for sample in results.samples.values()), *results.notes]))
    body = [head(results, lines, failed), budget_table(lines), *(part(results, name) for name in names), about(results)]
    return (f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Kourou benchmark</title>\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>\n{STYLE}</style>\n</head>\n<body>\n'
            f'<main>\n{"".join(body)}</main>\n</body>\n</html>\n')


def head(results, lines, failed):
    said = verdict(lines, failed)
    state = "missed" if failed or any(line.state == "missed" for line in lines) else "ok"
    machine = results.machine
    where = " · ".join(escape(text) for text in (machine.get("CPU", ""), f"{machine.get('cores', '?')} cores",
                                                 machine.get("memory", ""), machine.get("kernel", ""), used(machine),
                                                 machine.get("time", "")) if text)
    return (f'<header>\n<h1>Kourou beside its peers</h1>\n<p class="where">{where}</p>\n'
            f'<div class="verdict {state}"><strong>{escape(said[0])}</strong>'
            + "".join(f"<div>{escape(one)}</div>" for one in said[1:]) + "</div>\n</header>\n")


def used(machine):
    """Whether something else ran, which makes times too long."""
    share = machine.get("used by others")
    return f"other programs used {share} of the CPUs before the run" if share else ""


def budget_table(lines):
    rows, before = [], None
    for line in lines:
        if line.budget.part != before:
            before = line.budget.part
            rows.append(f'<tr class="group"><th colspan="4">{escape(title(before))}</th></tr>')
        unit = line.budget.unit
        rows.append(f'<tr><td>{escape(line.budget.text)}</td><td class="n">{escape(with_unit(line.value, unit))}</td>'
                    f'<td class="n limit">{line.sign} {escape(with_unit(line.budget.limit, unit))}</td>'
                    f'<td><span class="chip {line.state.split()[0]}">{line.state}</span></td></tr>')
    return ('<section>\n<h2>Budgets</h2>\n<table class="budgets"><thead><tr><th>what</th><th class="n">measured</th>'
            '<th class="n">budget</th><th></th></tr></thead>\n<tbody>\n' + "\n".join(rows) + "\n</tbody></table>\n</section>\n")


def part(results, name):
    seconds = results.seconds.get(name)
    out = [f"<section>\n<h2>{escape(title(name))}</h2>\n"]
    if seconds:
        out.append(f'<p class="where">measured for {seconds:.0f} s; medians, and from the smallest to the largest value</p>\n')
    lines = [] if name == "serve" else plots.series(results, name)
    if lines:
        out.append('<div class="grid">\n' + "".join(map(line_chart, lines)) + "</div>\n")
    drawn = {(one.metric, one.pattern) for one in lines}
    for case in results.cases(name):
        charts = [bars(results, name, case, metric) for metric in results.metrics(name, case)
                  if metric not in HIDDEN and (metric, (plots.split(case) or [None])[0]) not in drawn]
        if charts:
            out.append(f'<h3>{escape(case[:1].upper() + case[1:])}</h3>\n<div class="grid">\n{"".join(charts)}</div>\n')
    notes = "".join(f"<li>{escape(note)}</li>" for note in results.notes.get(name, []))
    return "".join(out) + (f'<ul class="notes">{notes}</ul>\n' if notes else "") + "</section>\n"


def line_chart(one):
    name = f"{one.title}: {one.metric}"
    return f'<figure><figcaption>{escape(name)}</figcaption><img alt="{escape(name)}" src="{plots.svg(one)}"></figure>\n'


def bars(results, name, case, metric):
    """Horizontal bars with their values, spread and ratio."""
    rows, found = [], {}
    for subject in results.subjects(name, case):
        if values := results.values(name, case, subject, metric):
            found[subject] = values
    most = max(max(values) for values in found.values()) or 1
    for subject, values in found.items():
        unit, median = results.unit(name, case, subject, metric), results.median(name, case, subject, metric)
        kind = "ours" if subject.startswith("kourou") else "limit" if subject.startswith(LIMITS) else "peer"
        low, high = 100 * min(values) / most, 100 * max(values) / most
        whisker = f'<i style="left:{low:.2f}%;width:{high - low:.2f}%"></i>' if len(values) > 1 else ""
        tip = f"{subject}: {spread(values, unit)} ({len(values)} values)"
        rows.append(f'<tr title="{escape(tip)}"><th>{escape(subject)}</th><td class="bar"><div><b class="{kind}" '
                    f'style="width:{100 * median / most:.2f}%"></b>{whisker}</div></td>'
                    f'<td class="n">{escape(with_unit(median, unit))}</td>'
                    f'<td class="n ratio">{against(results, name, case, subject, metric)}</td></tr>')
    better = "more is better" if metric in MORE_IS_BETTER else "less is better"
    return (f'<figure><figcaption>{escape(metric)} <small>{better}; last column: multiple of Kourou’s</small></figcaption>'
            f'<table class="bars">{"".join(rows)}</table></figure>\n')


def about(results):
    def rows(table):
        return "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in table.items())
    return ('<section>\n<h2>Machine and versions</h2>\n<div class="grid">\n'
            f"<dl>{rows(results.machine)}</dl>\n<dl>{rows(results.versions)}</dl>\n</div>\n</section>\n")
