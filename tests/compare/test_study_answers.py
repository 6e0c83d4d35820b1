"""Wilson's interval against published numbers, exact coverage and scipy; answers counted as they were given."""

import json

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from compare.intervals import number
from compare.study_answers import AnswersError, facts, histogram, read_all, read_answers, table_rows, wilson

METHODS, CASES = ["ours", "input"], ["a", "b", "c", "d"]


def test_wilson_equals_published_intervals():
    """Newcombe 1998 (Statistics in Medicine 17), table I, method 3."""
    for successes, trials, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_wilson_equals_scipy_and_keeps_its_range():
    for trials in (1, 7, 24, 200):
        for successes in range(trials + 1):
            for level in (0.8, 0.95):
                expected = binomtest(successes, trials).proportion_ci(level, method="wilson")
                found = wilson(successes, trials, level)
                assert found == pytest.approx((expected.low, expected.high), abs=1e-9)
                assert 0 <= found[0] <= successes / trials <= found[1] <= 1
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("trials", [20, 24, 200])
def test_wilson_covers_what_it_promises(trials):
    """Exact: the chance that a binomial's interval holds the true share, over shares from 0.02 to 0.98."""
    intervals = np.array([wilson(k, trials) for k in range(trials + 1)])  # [trials + 1, 2]
    shares = np.linspace(0.02, 0.98, 481)
    inside = (intervals[:, :1] <= shares) & (shares <= intervals[:, 1:])  # [trials + 1, shares]
    coverage = (binom.pmf(np.arange(trials + 1)[:, None], trials, shares) * inside).sum(0)
    assert abs(coverage.mean() - 0.95) < 0.008 and coverage.min() > 0.9


def coverage(taste, studies=400, participants=20, cases=10):
    """How often 95 % intervals hold the true share of 1/2, by simulation: (Wilson, participants resampled). taste: the
    participants' own shares come from Beta(taste, taste); infinite = all the same."""
    random = np.random.default_rng(0)
    held = np.zeros(2)
    for _ in range(studies):
        own = np.full(participants, 0.5) if np.isinf(taste) else random.beta(taste, taste, participants)
        times = random.binomial(cases, own)
        low, high = wilson(int(times.sum()), participants * cases)
        resampled = number(times / cases)
        held += [low <= 0.5 <= high, resampled.low <= 0.5 <= resampled.high]
    return held / studies


def test_resampling_participants_is_the_wider_promise():
    """Choices of one person are alike: taken for independent, as Wilson's interval must, they seem to say too much."""
    same, own = coverage(np.inf), coverage(2)
    assert same[0] > 0.92 and same[1] > 0.88
    assert own[0] < 0.80 and own[1] > 0.88


def answers_of(participant="P1", chosen="ours ours input ours", passed=True, steady=True, **changes):
    """The content of a file as study.html saves it; ours is shown first every second time."""
    picks = dict(zip(CASES, chosen.split(), strict=True))
    shown = {case: METHODS[:: 1 if i % 2 else -1] for i, case in enumerate(CASES)}
    answers = [{"kind": "case", "case": c, "shown": shown[c], "chosen": p, "seconds": 2.0} for c, p in picks.items()]
    answers.append({"kind": "check", "case": "b", "shown": METHODS, "intact": "ours", "seconds": 9.0})
    answers[-1]["chosen"] = "ours" if passed else "input"
    other = next(method for method in METHODS if method != picks["c"])
    answers.append(answers[2] | {"kind": "repeat", "chosen": picks["c"] if steady else other})
    return {
        "format": "lifelike user study 1",
        "study": "s1",
        "question": "?",
        "methods": METHODS,
        "cases": CASES,
        "participant": participant,
        "sets": len(answers),
        "answers": answers,
    } | changes


def file_of(folder, name, content):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_one_file(tmp_path):
    found = read_answers(file_of(tmp_path, "a.json", answers_of()))
    assert found.chosen == {"a": "ours", "b": "ours", "c": "input", "d": "ours"}
    assert found.passed and (found.steady, found.repeats) == (1, 1) and found.seconds == 2.0
    assert found.first == 3  # shown first: input, ours, input, ours
    assert read_answers(file_of(tmp_path, "a.json", answers_of(steady=False))).steady == 0
    assert not read_answers(file_of(tmp_path, "a.json", answers_of(passed=False))).passed


def without(key):
    content = answers_of()
    del content[key]
    return content


def changed(number, **values):
    content = answers_of()
    content["answers"][number] |= values
    return content


BAD = {
    "no checks": (
        answers_of(answers=[a for a in answers_of()["answers"] if a["kind"] != "check"], sets=5),
        "no spoilt",
    ),
    "endless": (answers_of(answers=[a | {"seconds": float("nan")} for a in answers_of()["answers"]]), "no time"),
    "400 digits": (answers_of(answers=[a | {"seconds": 10**400} for a in answers_of()["answers"]]), "changed since"),
    "a question that is none": (answers_of(question=["?"]), "a name is missing"),
    "empty": ("", "not JSON or cut short"),
    "cut": (json.dumps(answers_of())[:300], "not JSON or cut short"),
    "deep": ("[" * 100_000, "not JSON or cut short"),
    "list": ([1, 2], "no answers of a user study"),
    "foreign": ({"remove": ["a"]}, "no answers of a user study"),
    "unfinished": (answers_of(sets=9), "6 of 9 sets answered"),
    "nobody": (without("participant"), "changed since study.html saved it"),
    "nameless": (answers_of(participant=""), "a name is missing"),
    "numbers": (answers_of(methods=[1, 2]), "a name is missing"),
    "one method": (answers_of(methods=["ours"]), "nothing is compared"),
    "no cases": (answers_of(cases=[]), "nothing is compared"),
    "text": (answers_of(answers="abcdef"), "changed since study.html saved it"),
    "unknown case": (changed(0, case="z"), "unknown set case z"),
    "unknown kind": (changed(0, kind="joke"), "unknown set joke a"),
    "unknown method": (changed(0, chosen="theirs"), "unknown methods in a"),
    "one side": (changed(0, shown=["ours"]), "unknown methods in a"),
    "twice": (changed(0, case="b"), "not every case is answered once"),
    "no seconds": (changed(0, seconds=None), "changed since study.html saved it"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named_in_one_line(tmp_path, name):
    path = file_of(tmp_path, "answers.json", BAD[name][0])
    with pytest.raises(AnswersError, match=f"answers.json: .*{BAD[name][1]}") as error:
        read_answers(path)
    assert "\n" not in str(error.value)


def test_bad_encoding_and_missing_file(tmp_path):
    (tmp_path / "latin.json").write_bytes(b'{"format": "\xe4"}')
    with pytest.raises(AnswersError, match="latin.json: not JSON"):
        read_answers(tmp_path / "latin.json")
    with pytest.raises(AnswersError, match="gone.json: cannot be read"):
        read_answers(tmp_path / "gone.json")


def test_damaged_files_never_break_the_report(tmp_path):
    """Bytes replaced and cut out at random: counted, or refused in one line, nothing else."""
    random, refused = np.random.default_rng(0), 0
    text = json.dumps(answers_of()).encode()
    for _ in range(500):
        content, start = bytearray(text), random.integers(len(text))
        content[start : start + random.integers(1, 40)] = bytes(
            random.choice(list(b"0[]{},:a"), random.integers(4)).tolist()
        )
        (tmp_path / "a.json").write_bytes(content)
        try:
            participants, _ = read_all([tmp_path / "a.json"])
            table_rows(participants), facts(participants, participants)
        except AnswersError as error:
            assert "a.json: " in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 400


def test_others_are_counted_and_the_rest_named(tmp_path):
    contents = [answers_of("P1"), answers_of("P2"), answers_of("P1", "input " * 4), answers_of("P3", study="s2"), "{"]
    paths = [file_of(tmp_path, f"{i}.json", content) for i, content in enumerate(contents)]
    participants, skipped = read_all(paths)
    assert [(p.name, p.file.name) for p in participants] == [("P1", "0.json"), ("P2", "1.json")]
    assert [line.split(": ")[0] for line in skipped] == [str(paths[4]), str(paths[2]), str(paths[3])]
    assert "second file of participant P1" in skipped[1] and "another study (s2)" in skipped[2]
    with pytest.raises(AnswersError, match="as many files of study s1 and s2"):
        read_all([paths[0], paths[3]])
    with pytest.raises(AnswersError, match="4.json: not JSON.*none of 1 files"):
        read_all([paths[4]])


def test_histogram_and_table(tmp_path):
    chosen = ["ours ours ours ours", "ours ours ours input", "ours ours ours input", "input input ours ours"]
    contents = [answers_of(f"P{i}", text) for i, text in enumerate(chosen)] + [answers_of("P9", passed=False)]
    participants, _ = read_all([file_of(tmp_path, f"{i}.json", content) for i, content in enumerate(contents)])
    counted = [p for p in participants if p.passed]
    assert [value.mean * value.count for value in histogram(counted, "ours")] == [0, 0, 1, 2, 1]
    assert [value.mean * value.count for value in histogram(counted, "input")] == [1, 2, 1, 0, 0]

    columns, rows = table_rows(counted)
    chosen, resampled, favourite, chance = (rows["ours"][column] for column in columns)
    assert chosen.mean == 12 / 16 and (chosen.low, chosen.high) == wilson(12, 16) and chosen.count == 16
    assert resampled.mean == 12 / 16 and resampled.count == 4
    assert favourite.mean == 3 / 4 and favourite.count == 4 and chance == 0.5  # one was undecided
    assert rows["input"]["favourite of participants"].mean == 0

    content = facts(participants, counted)
    assert content["excluded"] == ["P9"] and content["cases"]["d"] == {"ours": 2, "input": 2}
    assert content["histogram"][3]["participants"] == 2 and content["histogram"][3]["high"] > 2
    assert content["steady"]["count"] == 4 and list(content["participants"]) == ["P0", "P1", "P2", "P3", "P9"]


def test_another_question_is_another_study(tmp_path):
    """One participant's file cannot say what all were asked, nor put what it likes on the terminal."""
    files = [file_of(tmp_path, "0.json", answers_of("P\x1b[2J", question="<script>"))]
    files += [file_of(tmp_path, f"{name}.json", answers_of(name)) for name in "AB"]
    counted, skipped = read_all(files)
    assert [p.name for p in counted] == ["A", "B"] and counted[0].question == "?"
    assert len(skipped) == 1 and "of another study" in skipped[0] and skipped[0].isprintable()
    again = file_of(tmp_path, "C.json", answers_of("P\x1b[2J"))
    _, skipped = read_all([again, again])
    assert "second file of participant P\\x1b[2J" in skipped[0]
