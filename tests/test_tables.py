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


def test_a_name_stands_in_one_piece_unless_it_is_longer_than_half_of_the_width():
    columns = [("encoder", "left"), *((f"metric_{place}", "right") for place in range(8)), ("verdict", "left")]
    figures = ["10.0 to 20.0"] * 8

    def printed(name: str) -> str:
        return text_table(columns, [[name, *figures, "not shown to be better"]])

    name = "start_of_shop_at_training_size_whitened"
    assert f" {name} " in printed(name)
    assert max(map(len, printed(name).splitlines())) <= 120
    assert "n" * 61 not in printed("n" * 61)
    assert printed("n" * 61).count("n") == 61 + printed("").count("n")
