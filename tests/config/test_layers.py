"""Merging trees of settings: the upper layer wins, and nothing else changes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.config.layers import leaves, mark, merge, plain, scalars

values = st.recursive(
    st.integers() | st.sampled_from(["x", "y"]),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3),
    max_leaves=6,
)
mappings = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@given(mappings)
def test_marking_and_unmarking_changes_nothing(value: dict[str, Any]) -> None:
    assert plain(mark(value, "file")) == value


@given(mappings, mappings)
def test_every_value_of_the_upper_layer_is_in_the_result(lower: dict[str, Any], upper: dict[str, Any]) -> None:
    tree = merge(mark(lower, "lower"), mark(upper, "upper"))
    result = dict(leaves(tree))
    assert {k: leaf for k, leaf in leaves(mark(upper, "upper")) if k}.items() <= result.items() or not upper
    assert all(leaf.origin == "upper" or key in dict(leaves(mark(lower, "lower"))) for key, leaf in result.items())


def test_a_list_is_replaced_whole_but_its_entries_can_be_changed() -> None:
    formats = mark({"formats": [{"reach": 1, "rate": 4}, {"reach": 2, "rate": 3}]}, "file")
    whole = merge(formats, mark({"formats": [{"reach": 9}]}, "over"))
    assert plain(whole) == {"formats": [{"reach": 9}]}
    entry = merge(formats, mark({"formats": {"1": {"reach": 9}}}, "over"))
    assert plain(entry) == {"formats": [{"reach": 1, "rate": 4}, {"reach": 9, "rate": 3}]}
    every = merge(formats, mark({"formats": {"*": {"rate": 1}}}, "over"))
    assert plain(every) == {"formats": [{"reach": 1, "rate": 1}, {"reach": 2, "rate": 1}]}
    assert plain(formats) == {"formats": [{"reach": 1, "rate": 4}, {"reach": 2, "rate": 3}]}


def test_a_list_of_scalars_is_one_value() -> None:
    assert scalars({"net_arch": [64, 64], "none": [], "deep": {"a": None}}) == {
        "net_arch": "[64, 64]",
        "none": "[]",
        "deep.a": None,
    }
