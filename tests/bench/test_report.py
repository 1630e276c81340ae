# SPDX-License-Identifier: Apache-2.0
"""The report of the benchmark on made-up results: what is counted, judged, written and drawn."""
import base64
import html.parser
import json
import re

import pytest

from bench import __main__ as program
from bench import budgets, load, plots, report_html, report_text
from bench.format import number, with_unit
from bench.results import Results

MANY = "64 connections"


@pytest.fixture
def results():
    made = Results()
    made.machine = {"CPU": "Made <up>", "cores": "2"}
    made.version("fastapi", "1.2.3")
    for subject, rate in (("bare C", 30000), ("kourou, plain", 18000), ("FastAPI, plain", 6000)):
        made.add("serve", MANY, subject, "throughput", "req/s", [rate - rate // 10, rate, rate + rate // 10])
    for size, micros in (("200 B", 100), ("20 KB", 200), ("2 MB", 20_000)):
        made.add("growth_serve", f"body of {size}", "kourou", "p50", "µs", [micros])
        made.add("growth_serve", f"body of {size}", "FastAPI", "p50", "µs", [micros * 3])
    made.note("serve", "LitServe could not be measured: <reason>")
    return made


def states(results):
    return {line.budget.id: line.state for line in budgets.judge(results)}


def test_median_and_values_of_repetitions(results):
    results.add("serve", MANY, "bare C", "throughput", "req/s", [90000, 90000])
    assert results.values("serve", MANY, "bare C", "throughput") == [27000, 30000, 33000, 90000, 90000]
    assert results.median("serve", MANY, "bare C", "throughput") == 33000
    assert results.median("serve", MANY, "nobody", "throughput") is None


def test_one_measurement_has_one_unit(results):
    with pytest.raises(ValueError, match="is in 'req/s', not in 'ms'"):
        results.add("serve", MANY, "bare C", "throughput", "ms", [1])


def test_json_and_back(results):
    again = Results.from_json(json.dumps(results.to_json()))
    assert again.to_json() == results.to_json()
    assert again.values("serve", MANY, "bare C", "throughput") == results.values("serve", MANY, "bare C", "throughput")


def test_merge_keeps_what_was_measured_here(results):
    other = Results()
    other.add("serve", MANY, "bare C", "throughput", "req/s", [1])
    other.add("start", "first 200", "kourou, plain", "exec to first 200", "ms", [15])
    results.merge(other)
    assert results.median("serve", MANY, "bare C", "throughput") == 30000
    assert states(results)["start-plain"] == "ok"


def test_budgets_are_ok_missed_or_not_measured(results):
    found = states(results)
    assert found["serve-bare"] == "ok"  # 0.6, at least 0.55
    assert found["serve-fastapi-plain"] == "missed"  # 3, at least 4
    assert found["serve-memory"] == "not measured"


def test_a_budget_at_its_limit_holds():
    made = Results()
    made.add("serve", "idle", "kourou, plain", "memory", "MB", [25])
    made.add("cli", "deployment list", "kourou", "time", "ms", [10.01])
    found = states(made)
    assert (found["serve-memory"], found["cli-time"]) == ("ok", "missed")


def test_counts_are_judged_by_the_worst_of_them():
    made = Results()
    made.add("deploy", "first deploy, 0 ms per call", "kourou", "calls", "", [7, 7, 9])
    assert states(made)["deploy-first-calls"] == "missed"


def test_budgets_have_names_of_their_own_and_an_existing_part():
    names = [one.id for one in budgets.TABLE]
    assert len(names) == len(set(names))
    assert {one.part for one in budgets.TABLE} <= set(program.parts.NAMES)


def test_terminal_report_says_which_budgets_fall_short(results):
    text = report_text.text(results, budgets.judge(results))
    assert "1 of 2 budgets fall short:\n  invoke, plain, 64 connections: throughput beside uvicorn+FastAPI: 3×, budget ≥ 4×" in text
    assert re.search(r"FastAPI, plain +6\u202f000 +5\u202f400 req/s – 6\u202f600 req/s +0.333×", text)
    assert "Note: LitServe could not be measured: <reason>" in text
    assert "fastapi 1.2.3" in text


class Page(html.parser.HTMLParser):
    """Collects what the page would fetch, and whether its tags are balanced."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_whole_and_needs_nothing_from_elsewhere(results):
    text = report_html.page(results, budgets.judge(results))
    page = Page(text)
    assert page.open == []
    assert page.sources and all(one.startswith("data:image/svg+xml;base64,") for one in page.sources)
    assert "url(" not in text and "@import" not in text
    assert "Made &lt;up&gt;" in text and "&lt;reason&gt;" in text
    assert text.count('<span class="chip missed">') == 1


def test_growth_is_drawn_as_lines(results):
    found, = plots.series(results, "growth_serve")
    assert found.lines["kourou"] == [(200, 100, 100, 100), (20_000, 200, 200, 200), (2_000_000, 20_000, 20_000, 20_000)]
    picture = base64.b64decode(plots.svg(found).partition(",")[2]).decode()
    assert "FastAPI" in picture and "20 ms" in picture and "href=\"http" not in picture.replace("xlink:href=\"#", "")


@pytest.mark.parametrize("case, expected", [
    ("body of 20 KB", ("body of #", 20_000, "bytes")), ("1 step", ("# step", 1, "")), ("10 steps", ("# step", 10, "")),
    ("deployment list, 1,000 in the store", ("deployment list, # in the store", 1000, "")), ("killed worker", None)])
def test_cases_that_differ_in_a_number(case, expected):
    assert plots.split(case) == expected


def test_figures_keep_three_digits():
    assert [number(value) for value in (0, 0.0123, 1.5, 123.4, 12345)] == ["0", "0.0123", "1.5", "123", "12\u202f345"]
    assert [with_unit(1500, "µs"), with_unit(2.5e6, "µs"), with_unit(0.25, "×"), with_unit(None, "ms")] == [
        "1.5 ms", "2.5 s", "0.25×", "–"]


WRK = """  1 threads and 64 connections
  Latency Distribution
     50%    2.24ms
     99%  510.56ms
  4000 requests in 2.00s, 1.00MB read
  Socket errors: connect 0, read 3, write 0, timeout 2
  Non-2xx or 3xx responses: 7
Requests/sec:   1999.50
"""


def test_output_of_the_load_generator():
    assert load.parse_wrk(WRK) == {"rate": 1999.5, "p50": 2240, "p99": 510560, "errors": 12, "count": 4000}
    none = load.parse_wrk("50%    0.00us\n  0 requests in 2.00s\nRequests/sec:  0.00\n")
    assert (none["p50"], none["p99"], none["count"]) == (None, None, 0)


def test_program_makes_the_report_again_and_checks_it(results, tmp_path, capsys):
    (tmp_path / "old.json").write_text(json.dumps(results.to_json()))
    argv = ["--report", str(tmp_path / "old.json"), "--out", str(tmp_path / "new")]
    assert program.main(argv) == 0
    assert program.main([*argv, "--check"]) == 1
    assert "1 of 2 budgets fall short" in capsys.readouterr().out
    made = json.loads((tmp_path / "new" / "report.json").read_text())
    assert Results.from_json(made).to_json() == results.to_json()
    assert (tmp_path / "new" / "report.html").read_text().startswith("<!doctype html>")


def test_a_part_that_fails_is_reported_and_fails_the_check(tmp_path, capsys, monkeypatch):
    class Part:
        NAME, TITLE = "start", "Cold start"

        @staticmethod
        def run(ctx):
            raise load.Failed("does not start")

    monkeypatch.setattr(program.parts, "load", lambda name: Part)
    monkeypatch.setattr(program.machine, "busy", lambda: 0)
    assert program.main(["--only", "start", "--check", "--out", str(tmp_path)]) == 1
    assert "Parts that FAILED: start" in capsys.readouterr().out
    assert "FAILED: does not start" in (tmp_path / "report.html").read_text()
