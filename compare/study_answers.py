"""The answers of a user study (compare/study_page.py), counted: the paper's Figs. 6 and 15, with intervals.

Both figures are one histogram: of how many participants did choose our picture k times out of n. The paper prints no
numbers with them, so there are none to compare with.
"""

import json
import math
import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, median

from alignment.text import one_line, shown

from .intervals import Number, number

FORMAT = "lifelike user study 1"
KINDS = ("case", "check", "repeat")


class AnswersError(Exception):
    """An answers file that cannot be counted; the message is one line, 'FILE: what is wrong; remedy', safe to print."""

    def __str__(self):
        return shown(super().__str__(), 1000)


@dataclass(frozen=True)
class Participant:
    """One file of answers. chosen: {case: method}. checks: how many sets held spoilt pictures; passed: picked the
    intact one in each. repeats: how many sets came twice; steady: how many of these got the same answer. first: of the
    cases, how often the picture shown first (left, or top) was chosen. seconds: the median time over a set."""

    name: str
    file: Path
    study: str
    question: str
    methods: tuple[str, ...]
    cases: tuple[str, ...]
    chosen: dict
    checks: int
    passed: bool
    steady: int
    repeats: int
    first: int
    seconds: float

    @property
    def asked(self):
        """What everybody who is counted together was asked."""
        return self.study, self.question, self.methods, self.cases, self.checks, self.repeats


def wilson(successes, trials, level=0.95):
    """(low, high): the score interval of a binomial share (Wilson 1927). Never leaves [0, 1]; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / trials
    centre = share + z * z / (2 * trials)
    half = z * (share * (1 - share) / trials + (z / (2 * trials)) ** 2) ** 0.5
    low, high = ((centre + sign * half) / (1 + z * z / trials) for sign in (-1, 1))
    return (0.0 if successes == 0 else low), (1.0 if successes == trials else high)  # exact where rounding is not


def share(successes, trials):
    """A Number with Wilson's interval."""
    return Number(successes / max(trials, 1), *wilson(successes, trials), count=trials)


def read_answers(path):
    """One file saved by the page as a Participant. Raises AnswersError for a file that is missing, cut short,
    unfinished or not the page's."""
    path = Path(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError("no regular file")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AnswersError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except (ValueError, RecursionError) as error:
        raise AnswersError(f"{path}: not JSON or cut short ({one_line(error)}); ask for the file again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise AnswersError(f"{path}: no answers of a user study; give the files that study.html saved")
    try:
        if len(content["answers"]) != content["sets"]:
            done = f"{len(content['answers'])} of {content['sets']} sets answered"
            raise AnswersError(f"{path}: {done}; let the participant go on in the same browser")
        return _participant(path, content)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise AnswersError(f"{path}: changed since study.html saved it ({reason}); ask for the file again") from error


def _participant(path, content):
    name, study, question = (content[key] for key in ("participant", "study", "question"))
    methods, cases = content["methods"], content["cases"]
    if not all(isinstance(word, str) and word.strip() for word in (name, study, question, *methods, *cases)):
        raise ValueError("a name is missing")
    if len(set(methods)) < 2 or len(set(methods)) < len(methods) or not cases:
        raise ValueError("nothing is compared")
    answers = content["answers"]
    for answer in answers:
        if answer["kind"] not in KINDS or answer["case"] not in cases:
            raise ValueError(f"unknown set {answer['kind']} {answer['case']}")
        if sorted(answer["shown"]) != sorted(methods) or answer["chosen"] not in methods:
            raise ValueError(f"unknown methods in {answer['case']}")
    asked = {kind: [answer for answer in answers if answer["kind"] == kind] for kind in KINDS}
    if sorted(answer["case"] for answer in asked["case"]) != sorted(cases):
        raise ValueError("not every case is answered once")
    if not asked["check"]:
        raise ValueError("no spoilt pictures were shown")
    seconds = float(median(answer["seconds"] for answer in answers))
    if not 0 <= seconds < math.inf:
        raise ValueError("no time is so long")
    chosen = {answer["case"]: answer["chosen"] for answer in asked["case"]}
    return Participant(
        " ".join(name.split()),
        path,
        study,
        question,
        tuple(methods),
        tuple(cases),
        chosen,
        checks=len(asked["check"]),
        passed=all(answer["chosen"] == answer["intact"] for answer in asked["check"]),
        steady=sum(answer["chosen"] == chosen[answer["case"]] for answer in asked["repeat"]),
        repeats=len(asked["repeat"]),
        first=sum(answer["chosen"] == answer["shown"][0] for answer in asked["case"]),
        seconds=seconds,
    )


def read_all(paths):
    """([Participant], [line about a file that is skipped]) of the study that most of the files belong to.

    Skipped are files that cannot be counted, those of another study, and a participant's second file; the first of the
    given order counts. Raises AnswersError when nothing is left, or when two studies have equally many files.
    """
    found, skipped = [], []
    for path in paths:
        try:
            found.append(read_answers(path))
        except AnswersError as error:
            skipped.append(str(error))
    if not found:
        raise AnswersError("; ".join([*skipped[:1], f"none of {len(skipped)} files can be counted"]))
    studies = Counter(p.asked for p in found).most_common(2)
    if len(studies) == 2 and studies[0][1] == studies[1][1]:
        ids = " and ".join(study[0] for study, _ in studies)
        raise AnswersError(f"{found[0].file}: as many files of study {ids}; give the files of one study")
    first = {}
    for participant in found:
        if participant.asked != studies[0][0]:
            line = f"{participant.file}: of another study ({participant.study}); report that one by itself"
        elif participant.name in first:
            counts = f"{first[participant.name].file} counts"
            line = f"{participant.file}: second file of participant {participant.name}; {counts}"
        else:
            first[participant.name] = participant
            continue
        skipped.append(shown(line, 1000))
    return list(first.values()), skipped


def histogram(participants, method):
    """[Number] for k = 0 to n: the share of participants who chose `method` in k of the n cases, Wilson's interval."""
    cases = len(participants[0].cases)
    times = Counter(list(p.chosen.values()).count(method) for p in participants)
    return [share(times[k], len(participants)) for k in range(cases + 1)]


def table_rows(participants):
    """Columns and rows for tables.write_table, a row a method.

    chosen: of all choices, with Wilson's interval, which takes them for independent; resampled: the same share with the
    bootstrap interval over participants, who each have a taste, so the wider and the honest one for other participants;
    favourite: participants who chose the method more often than any other, Wilson; chance: without any preference.
    """
    columns = ["chosen", "chosen, participants resampled", "favourite of participants", "chance"]
    cases, rows = len(participants[0].cases), {}
    counts = [Counter(p.chosen.values()) for p in participants]
    for method in participants[0].methods:
        own = [count[method] for count in counts]
        favourite = sum(
            count[method] > max(count[other] for other in participants[0].methods if other != method)
            for count in counts
        )
        values = (
            share(sum(own), cases * len(participants)),
            number([times / cases for times in own]),
            share(favourite, len(participants)),
            1 / len(participants[0].methods),
        )
        rows[method] = dict(zip(columns, values, strict=True))
    return columns, rows


def facts(participants, counted):
    """What else the JSON holds: steadiness, sides, and everybody's and every case's choices."""
    first = participants[0]
    method = first.methods[0]
    return {
        "study": first.study,
        "question": first.question,
        "method": method,
        "histogram": [
            {"chosen": k, "of": len(first.cases), "participants": round(value.mean * value.count)}
            | {"low": value.low * value.count, "high": value.high * value.count}
            for k, value in enumerate(histogram(counted, method))
        ],
        "excluded": [p.name for p in participants if not p.passed],
        "steady": vars(share(sum(p.steady for p in counted), sum(p.repeats for p in counted))),
        "shown_first_chosen": vars(share(sum(p.first for p in counted), len(first.cases) * len(counted))),
        "cases": {case: dict(Counter(p.chosen[case] for p in counted)) for case in first.cases},
        "participants": {
            p.name: {"file": p.file.name, "passed": p.passed, "seconds": p.seconds, "chosen": p.chosen}
            for p in participants
        },
    }
