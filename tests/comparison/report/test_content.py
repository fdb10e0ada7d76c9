from page_parser import Page
from tiny_comparison import verdict


def test_the_verdict_stands_first_and_the_sentences_are_the_verdicts(page: Page) -> None:
    said = verdict("tuned", baseline="clip", relevance="product", word="better", difference=0.1).sentences
    assert page.headings[:2] == ["Verdict", "All encoders"]
    for sentence in said:
        assert page.text.index(sentence) < page.text.index("Basis of the verdict")
    assert "In about 60 of 100 searches the first image is right with tuned, in about 50 with clip." in page.text


def test_the_main_relevance_comes_before_the_others(page: Page) -> None:
    assert page.text.index("map_at_r by product differs") < page.text.index("map_at_r by label differs")
