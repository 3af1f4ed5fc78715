"""Questions of notebook 09: learning without gathering."""

from __future__ import annotations

from privlab.questions import Question, near

QUESTIONS = {
    "alone": Question(
        lambda number: 2 <= number <= 42,
        "With so few clients each holds so many people that it hardly needs the others. The many small ones do.",
        "Move N to the left and read “a client alone” in the sentence, until it is one point behind all data in "
        "one place.",
    ),
    "split": Question(
        lambda word: word == "labels",
        "Whoever has hardly seen a yes learns to say no. Models of such clients pull against each other.",
        "Set skew to 1, choose each deal in turn, and compare “together” with “all data in one place”.",
        among={"employer": "dealt by employer", "age": "dealt by age", "labels": "dealt by the answer itself"},
    ),
    "noise": Question(
        near(10),
        "The noise has to hide one client, and goes on the sum once, whoever is in it. The sum is then divided by ten "
        "times as many.",
        "How much noise goes on the sum depends on ε, C, q and the rounds. What does N change? What is it divided by?",
    ),
    "rounds": Question(
        near(6, 0.001),
        "Sixty releases add up. Better books bring the sum down, but never to the cost of one round.",
        "The plainest way to add up: each round spends its own ε, of the same people.",
    ),
    "shared": Question(
        lambda number: number in (3, 4),
        "The division gives a blend of the three. The values are still in there, but not whose they are.",
        "Move the people of one client to the right, one by one, and read the first number of the sentence.",
    ),
    "collude": Question(
        lambda word: word == "others",
        "With the shares that they hold they take anybody's masks off; and where only one other is left, they do not "
        "even need them. Only noise helps against that.",
        "Who holds the shares of everybody's secrets? Look at the card in the picture, with masks.",
        among={
            "thief": "somebody who robs the server",
            "others": "the server together with most of the clients",
            "nobody": "nobody at all",
        },
    ),
}
