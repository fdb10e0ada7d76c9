"""Tables of text."""

from simtrain.tables import text_table


def test_cells_stand_below_their_columns_as_plain_text():
    lines = text_table([("metric", "left"), ("%", "right")], [["map_at_r", "7.5"], ["[bold]r[/bold]", "10.0"]])
    rows = [line.split() for line in lines.splitlines() if line.strip(" ─")]
    assert rows == [["metric", "%"], ["map_at_r", "7.5"], ["[bold]r[/bold]", "10.0"]]
    figures = [line.rstrip() for line in lines.splitlines() if line.rstrip().endswith(("7.5", "10.0"))]
    assert len({len(line) for line in figures}) == 1  # right-aligned


def test_a_long_cell_is_folded_within_the_width():
    lines = text_table([("name", "left"), ("what", "left")], [["one", "word " * 60]]).splitlines()
    assert max(len(line) for line in lines) <= 120
    assert " ".join(lines).count("word") == 60
