"""Questions of the notebooks: answers are judged by value, and the wrong kind of answer is refused."""

import math

import pytest

import privlab
from privlab import questions
from privlab.questions import Question, near

NUMBER = Question(near(2.0, 0.1), "because", "look left")
WORD = Question(lambda word: word == "b", "because", "look left", among={"a": "first", "b": "second"})


@pytest.mark.parametrize(("given", "right"), [(2, True), (2.19, True), (1.81, True), (2.21, False), (-2, False)])
def test_a_number_is_judged_by_its_distance(given, right):
    verdict = NUMBER.check(given)
    assert bool(verdict) is right
    assert repr(verdict) == ("Yes. because" if right else "Not yet. look left")


@pytest.mark.parametrize(("given", "right"), [("b", True), (" B ", True), ("a", False)])
def test_a_word_is_judged_whatever_its_case(given, right):
    assert bool(WORD.check(given)) is right


@pytest.mark.parametrize(
    ("question", "given", "error", "words"),
    [
        (NUMBER, "2", TypeError, "'answer' must be a number. Got str."),
        (NUMBER, None, TypeError, "'answer' must be a number. Got NoneType."),
        (NUMBER, True, TypeError, "'answer' must be a number. Got bool."),
        (NUMBER, math.nan, ValueError, "'answer' must be a finite number. Got nan."),
        (WORD, "c", ValueError, "'answer' must be among 'a', 'b'. Got 'c'."),
        (WORD, 1, ValueError, "'answer' must be among 'a', 'b'. Got 1."),
    ],
)
def test_the_wrong_kind_of_answer_is_refused(question, given, error, words):
    with pytest.raises(error, match=f"^{words.replace('.', '[.]')}$"):
        question.check(given)


@pytest.mark.parametrize("name", ["", "no", "no.such", ".", "budgets."])
def test_an_unknown_question_is_refused_and_the_known_ones_told(name):
    with pytest.raises(ValueError, match="'question' must be among "):
        privlab.answer(name, 1)


def test_every_question_has_words_for_both_cases():
    for name in questions.names():
        part, _, key = name.partition(".")
        one = questions._questions(part)[key]
        assert one.why, name
        assert one.hint, name
