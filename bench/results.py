# SPDX-License-Identifier: Apache-2.0
"""What was measured: samples by part, case, subject and metric, with remarks and the versions of everything."""
import json
import statistics
from dataclasses import dataclass, field


@dataclass
class Sample:
    """The repetitions of one measurement; a part may add to it more than once."""

    part: str
    case: str
    subject: str
    metric: str
    unit: str
    values: list = field(default_factory=list)

    @property
    def median(self):
        return statistics.median(self.values)


class Results:
    """Samples stay in the order in which they were first added; so do remarks and versions."""

    def __init__(self):
        self.samples = {}
        self.notes = {}
        self.versions = {}
        self.machine = {}
        self.seconds = {}

    def add(self, part, case, subject, metric, unit, values):
        """Adds repetitions of one measurement. ValueError when the unit is another than before."""
        key = (part, case, subject, metric)
        sample = self.samples.setdefault(key, Sample(*key, unit))
        if sample.unit != unit:
            raise ValueError(f"{key} is in {sample.unit!r}, not in {unit!r}")
        sample.values += [float(value) for value in values]

    def values(self, part, case, subject, metric):
        """All repetitions; empty when it was not measured."""
        found = self.samples.get((part, case, subject, metric))
        return list(found.values) if found else []

    def median(self, part, case, subject, metric):
        """None when it was not measured."""
        found = self.values(part, case, subject, metric)
        return statistics.median(found) if found else None

    def unit(self, part, case, subject, metric):
        found = self.samples.get((part, case, subject, metric))
        return found.unit if found else ""

    def note(self, part, text):
        notes = self.notes.setdefault(part, [])
        if text not in notes:
            notes.append(text)

    def version(self, name, text):
        self.versions[name] = text

    def of(self, part):
        return [sample for sample in self.samples.values() if sample.part == part and sample.values]

    def cases(self, part, metric=None):
        """Its cases, each once, in order."""
        return list(dict.fromkeys(one.case for one in self.of(part) if metric in (None, one.metric)))

    def subjects(self, part, case=None):
        return list(dict.fromkeys(one.subject for one in self.of(part) if case in (None, one.case)))

    def metrics(self, part, case=None):
        return list(dict.fromkeys(one.metric for one in self.of(part) if case in (None, one.case)))

    def merge(self, other):
        """Takes over what another run of the same machine measured; parts that are here already stay."""
        have = {sample.part for sample in self.samples.values()}
        self.samples |= {key: sample for key, sample in other.samples.items() if sample.part not in have}
        for table in ("notes", "seconds"):
            mine = getattr(self, table)
            mine |= {part: value for part, value in getattr(other, table).items() if part not in have}
        self.versions = other.versions | self.versions

    def to_json(self):
        return {"machine": self.machine, "versions": self.versions, "seconds": self.seconds, "notes": self.notes,
                "samples": [vars(one) | {"median": one.median, "min": min(one.values), "max": max(one.values)}
                            for one in self.samples.values() if one.values]}

    @classmethod
    def from_json(cls, text):
        """The other way; takes the text or what json.loads() made of it."""
        data = json.loads(text) if isinstance(text, (str, bytes)) else text
        results = cls()
        results.machine, results.versions = data["machine"], data["versions"]
        results.seconds, results.notes = data["seconds"], data["notes"]
        for one in data["samples"]:
            results.add(*(one[name] for name in ("part", "case", "subject", "metric", "unit", "values")))
        return results
