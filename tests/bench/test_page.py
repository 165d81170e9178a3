"""Sections of a page, bars, and sides that run in turns."""


def test_a_section_replaces_its_own_and_leaves_the_others(bench) -> None:
    table = bench("_table")
    page = table.placed(table.placed("# Benchmarks\n", "a", "old \\1"), "b", "other")
    new = table.placed(page, "a", "new \\2")
    assert new == page.replace("old \\1", "new \\2") and "other" in new and new.startswith("# Benchmarks\n")
    assert table.placed(new, "a", "new \\2") == new


def test_bars_are_judged_from_both_sides(bench) -> None:
    table = bench("_table")
    assert table.verdict(2.0, 2.0).endswith("met") and table.verdict(2.0, 2.0, True).endswith("met")
    assert table.verdict(1.8, 2.0) == "at least 2: missed by 10.0%"
    assert table.verdict(3.0, 2.0, True) == "at most 2: missed by 50.0%"


def test_sides_run_in_turns_and_ratios_are_of_rounds(bench) -> None:
    table, seen = bench("_table"), []

    def side(name: str, seconds: float):
        def work(number: int):
            seen.append((number, name))
            return table.Sample(seconds * (number + 1), seconds * (number + 1))

        return work

    found = table.turns({"a": side("a", 1.0), "b": side("b", 3.0)}, 3, table.own)
    assert seen == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]
    assert table.ratio(found["b"], found["a"], "cpu") == 3.0 and table.median(found["a"], "wall") == 2.0


def test_lines_of_words_are_broken_and_rows_are_not(bench) -> None:
    row, words = f"| {'x' * 200} |", "seven " * 40
    lines = bench("_table").wrapped(f"## title\n\n{words}\n\n{row}\n").split("\n")
    assert row in lines and max(len(line) for line in lines if line != row) <= 120
    assert " ".join(line for line in lines if line.startswith("seven")).split() == words.split()
