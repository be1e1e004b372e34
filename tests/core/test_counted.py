"""Numbers with the words that go with them."""

from postroom.console import counted


def test_one_is_singular_and_so_is_none():
    """`1 changes` is what a table of formats says, not a person."""
    assert [counted(number, "change") for number in (0, 1, 2)] == ["no change", "1 change", "2 changes"]


def test_words_that_more_than_an_s_changes_are_given():
    """A verb that goes with the noun, or a noun that ends otherwise."""
    told = [counted(number, "topic is missing", "topics are missing") for number in (0, 1, 3)]
    assert told == ["no topic is missing", "1 topic is missing", "3 topics are missing"]
