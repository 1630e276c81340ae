# SPDX-License-Identifier: Apache-2.0
"""Line charts of how figures grow, drawn by matplotlib as SVG."""
import base64
import io
import re
from dataclasses import dataclass, field

SCALE = {"B": 1, "KB": 1e3, "kB": 1e3, "MB": 1e6, "GB": 1e9}
SIZE = re.compile(r"(\d[\d,]*(?:\.\d+)?)(?: (B|KB|kB|MB|GB)\b)?")
COLOURS = ("#0f766e", "#b45309", "#475569", "#7c3aed", "#be123c", "#0369a1")


@dataclass
class Series:
    """Cases of a part that differ in one number only, for one metric."""

    pattern: str
    axis: str
    metric: str
    unit: str
    lines: dict = field(default_factory=dict)  # subject: [(x, median, min, max)]

    @property
    def title(self):
        """The name of the cases without the number."""
        return re.sub(r" of #| ?# ?", " ", self.pattern).strip(" ,")


def split(case):
    """("body of #", 20000.0, "B") from "body of 20 KB"; None without a number."""
    found = SIZE.search(case)
    if not found:
        return None
    pattern = case[:found.start()] + "#" + case[found.end():]
    return re.sub(r"(# \w*[a-z])s\b", r"\1", pattern), float(found[1].replace(",", "")) * SCALE.get(found[2], 1), (
        "bytes" if found[2] else "")


def series(results, part, metrics=()):
    """A Series for every group of three or more cases and every metric; `metrics` chooses some of them."""
    found = {}
    for sample in results.of(part):
        parts = split(sample.case)
        if parts is None or (metrics and sample.metric not in metrics):
            continue
        pattern, x, unit = parts
        one = found.setdefault((pattern, sample.metric), Series(
            pattern, unit or (pattern.partition("# ")[2] or "count"), sample.metric, sample.unit))
        one.lines.setdefault(sample.subject, []).append((x, sample.median, min(sample.values), max(sample.values)))
    return [one for one in found.values() if len({point[0] for line in one.lines.values() for point in line}) > 2]


def svg(one):
    """The chart of a Series as a data: address. Both axes are logarithmic unless there is a zero."""
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter

    from bench.format import number, with_unit

    style = {"font.family": "sans-serif", "font.sans-serif": ["Inter", "Segoe UI", "Helvetica", "Arial", "DejaVu Sans"],
             "svg.fonttype": "none", "font.size": 10, "axes.edgecolor": "#94a3b8", "axes.labelcolor": "#475569",
             "xtick.color": "#475569", "ytick.color": "#475569"}
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(5.4, 3.1), layout="constrained")
        points = [point for line in one.lines.values() for point in line]
        for colour, (subject, line) in zip(COLOURS * 3, one.lines.items()):
            line = sorted(line)
            xs = [point[0] for point in line]
            axes.fill_between(xs, [point[2] for point in line], [point[3] for point in line], color=colour, alpha=0.15, lw=0)
            axes.plot(xs, [point[1] for point in line], "o-", color=colour, label=subject, lw=1.8, ms=4)
            axes.annotate(with_unit(line[-1][1], one.unit), (xs[-1], line[-1][1]), (-4, 6), textcoords="offset points",
                          ha="right", color=colour, fontsize=9)
        if min(point[0] for point in points) > 0:
            axes.set_xscale("log")
        if min(point[1] for point in points) > 0:
            axes.set_yscale("log")
        ticks = sorted({point[0] for point in points})
        axes.set_xticks(ticks, [with_unit(tick, "B") if one.axis == "bytes" else number(tick) for tick in ticks])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: with_unit(value, one.unit)))
        axes.set_xlabel(one.axis if one.axis != "bytes" else one.title)
        axes.margins(y=0.15)
        axes.grid(color="#e2e8f0", lw=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="upper left", fontsize=9)
        out = io.BytesIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
        pyplot.close(figure)
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()
