"""Tables as the page prints them."""

from reports.text.html_tables import Cell, Column, Table


def table(*rows):
    columns = [Column(label, False) for label in ("model", "data", "layer")]
    return Table("Layers", columns, [[*map(Cell, row)] for row in rows])


def test_what_all_rows_say_goes_into_the_caption():
    found = table(("mlp", "digits", "1"), ("mlp", "mnist", "1"))

    shown = found.with_common_in_caption(("model", "data"))

    assert shown.caption == "Layers; model mlp"
    assert [column.label for column in shown.columns] == ["data", "layer"]
    assert [[cell.text for cell in row] for row in shown.rows] == [["digits", "1"], ["mnist", "1"]]


def test_a_single_row_stays_as_it_is():
    found = table(("mlp", "digits", "1"))

    assert found.with_common_in_caption(("model", "data")) == found
