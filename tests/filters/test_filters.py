"""All filters together: every one has its settings, and looks at every candidate."""

from tasks.filters import ROW_FILTERS, SET_FILTERS, FilterContext
from tasks.filters.settings import FiltersSettings
from tests.filters.candidates import answered


def test_every_filter_has_its_settings_in_the_order_of_work() -> None:
    assert list(FiltersSettings.model_fields) == [*ROW_FILTERS, *SET_FILTERS]


def test_a_row_that_breaks_several_rules_has_a_reason_for_each() -> None:
    settings = FiltersSettings()
    cut_off = answered("  ", task="CLASSIFICATION", finish_reason="length")
    found = {
        name: kind.make(getattr(settings, name), FilterContext(labels=("hot", "cold")))([cut_off])[0].reason
        for name, kind in ROW_FILTERS.items()
    }

    assert {name: reason for name, reason in found.items() if reason} == {
        "finish_reason": "finish_length",
        "empty": "empty",
        "validity": "unknown_label",
    }
