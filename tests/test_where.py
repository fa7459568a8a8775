"""The language of `where=`: what it means, and what it says where it means nothing."""

import pytest

from mnist_exp.errors import ConfigError
from mnist_exp.runs.where import parse_where

VALUES = {
    "test_accuracy": 0.985, "seed": 3, "status": "failed", "model.name": "bn_dnn", "model.units": [128, 64],
    "tags": ["paper", "good run"], "note": "First try: lr = 0.1", "star": True, "selected_on_test": False,
    "started_at": "2026-11-24T18:02:11Z", "versions.keras": "3.15.1", "data.validation": "test",
    "git.commit": "1234567", "sweep": None,
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "test_accuracy>0.98", "test_accuracy >= 98.5%", "not test_accuracy > 98.5%", "test_accuracy!=1",
        "seed=3", "seed == 3.0", "seed in [1, 3]", "seed not in [1,2]", "not seed in [1,2]",
        "status = Failed", "status='failed' AND seed<4", "status=completed or seed=3 and star",
        "not (status=completed or seed=4)", "not not star", "star", "star=true", "not selected_on_test",
        "model.name=bn_dnn", "model.name ~ DNN", "model.units=[128,64]", "64 in model.units",
        "paper in tags", "'good run' in tags", "tags ~ good", "note ~ 'try: lr = 0.1'", "first in note",
        "started_at>=2026-11-24", "started_at<2026-11-25T00:00:00Z", "versions.keras>3.1",
        "git.commit=1234567", "sweep=null", "not sweep", "seed!=null", "nothing=null", "not nothing>3",
        "not nothing=x",
    ],
)  # fmt: skip
def test_an_expression_that_is_true(text: str) -> None:
    assert parse_where(text).matches(VALUES.get)


@pytest.mark.parametrize(
    "text",
    [
        "test_accuracy>0.985", "seed=4", "seed<3", "status=fail", "status=completed and (seed=3 or star)",
        "model.units=[128]", "64 in tags", "good in tags", "selected_on_test", "selected_on_test!=false",
        "star=1", "nothing", "nothing>3", "nothing!=3", "sweep!=study", "sweep=study", "seed<high",
        "data.validation>100", "test_accuracy='null'", "model.units>1", "seed~3",
    ],
)  # fmt: skip
def test_an_expression_that_is_not(text: str) -> None:
    assert not parse_where(text).matches(VALUES.get)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "where: it ends; a name is needed."),
        ("seed >", 'where: after "seed >" it ends; a value is needed.'),
        ("seed > and", 'after "seed >" got "and"; a value is needed.'),
        ("note = two words", 'after "note = two" got "words"; "and" or "or" is needed here, and quotes'),
        ("seed=1 or or seed=2", 'after "seed=1 or" got "or"; a name is needed.'),
        ("(seed=1", 'after "(seed=1" it ends; ) is needed.'),
        ("seed=1)", 'after "seed=1" got ")"'),
        ("seed in [1,,2]", 'after "seed in [1," got ","; a value is needed.'),
        ("seed in", "a list or a name is needed"),
        ("seed < [1]", 'after "seed <" got "["; a value is needed.'),
        ("note='open", 'after "note=" it has a quote without an end'),
        ("0.98 < test_accuracy", 'after "0.98" got "<"; 0.98 is no name, and a name comes first.'),
        ("__import__('os').system('x')", 'after "__import__" got "("'),
        ("(" * 31 + "star" + ")" * 31, "at most 30 levels are read"),
        ("not " * 31 + "star", "at most 30 levels are read"),
        ("x" * 4097, "where: 4,097 letters; 4,096 at most are read."),
    ],
)
def test_what_is_no_expression_is_refused_with_the_place(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_where(text)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
