"""Colors, markers and dashes of the methods."""

from growbench.analysis.figures.style import KNOWN, MARKERS, order, style, styles


def test_styles_depend_on_the_name_only() -> None:
    """Changing one of these would repaint committed figures."""
    assert style("scratch").color == "#000000"
    assert (style("stackbert").color, style("stackbert").marker) == ("#E69F00", "s")
    assert (style("bert2bert_fpi").color, style("bert2bert_aki").color) == ("#0072B2", "#D55E00")
    assert style("a_new_method") == style("a_new_method") and style("a_new_method") not in KNOWN.values()


def test_known_styles_differ_in_color_and_in_marker_with_dash() -> None:
    assert len({s.color for s in KNOWN.values()}) == len(KNOWN)
    assert len({(s.marker, s.dash) for s in KNOWN.values()}) == len(KNOWN)


def test_methods_of_one_color_have_markers_of_their_own() -> None:
    """Variants, whose markers come from hashes, in more than one order: only the later of two that collide gives way."""
    names = [f"direct_copy_{number}" for number in range(len(MARKERS))]
    for some in (names, names[::-1]):
        found = styles({"direct_copy": "direct_copy"} | dict.fromkeys(some, "direct_copy"))
        assert len({look.marker for look in found.values()}) == len(some) + 1
        assert found[some[0]] == style(some[0], "direct_copy")


def test_scratch_comes_first_and_the_others_in_the_given_order() -> None:
    assert order(["b", "scratch", "a", "b"]) == ["scratch", "b", "a"]
