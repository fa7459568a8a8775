"""Which runs are meant by `where=`: a language of comparisons, of which nothing is executed.

    test_accuracy > 98.5% and model.name = ann and not (paper in tags or note ~ "first try")

A name is compared by `= != < <= > >=`; by `~` with what its text, or an entry of its list, contains; by
`in` with a list, `seed in [1, 2]`. A word may be looked for in a named list: `paper in tags`. A name alone
asks for what is neither missing, false nor empty. A run without a value passes `= null` alone. Case makes no
difference.
"""

import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from mnist_exp.errors import ConfigError
from mnist_exp.words import one_line, shortened

LookUp = Callable[[str], Any]
"""Gives a value by its name; None where there is none."""

_Test = Callable[[LookUp], bool]
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>'[^']*'|"[^"]*")|(?P<sign>[<>=!]=|[=<>~()\[\],])|(?P<word>[^\s=<>!~()\[\],'"]+)|$)"""
)
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)(%?)", re.IGNORECASE)
_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_UNLISTED = ("~", *_ORDERS)
_SIGNS = ("=", "==", "!=", *_UNLISTED)
_RESERVED = ("and", "or", "not", "in")
_CONSTANTS = {"true": True, "false": False, "null": None}
_LONGEST, _DEEPEST, _SHOWN = 4096, 30, 40


class Where(NamedTuple):
    """A condition on runs, and the names that it looks up; `key` is where it was given."""

    matches: _Test
    names: list[str]
    key: str


class _Value(NamedTuple):
    """What is compared with: as it was typed, and as a number, true, false, null, text or list of these."""

    text: str
    plain: Any


def parse_where(text: str, key: str = "where") -> Where:
    """Reads an expression; raises ConfigError, which says what came before, where it is none."""
    if len(text) > _LONGEST:
        raise ConfigError(f"{key}: {len(text):,} letters; {_LONGEST:,} at most are read.")
    parser = _Parser(text, key)
    return Where(parser.read(), parser.names, key)


class _Parser:
    """Reads one expression from left to right; each method that gives a test is a rule of the grammar."""

    def __init__(self, text: str, key: str) -> None:
        self._text, self._key = text, key
        self._kind, self._token, self._start, self._end = "", "", 0, 0
        self._depth = 0
        self.names: list[str] = []
        self._advance()

    def read(self) -> _Test:
        test = self._either()
        if self._kind:
            raise self._refusal('"and" or "or" is needed here, and quotes around a text of several words')
        return test

    def _either(self) -> _Test:
        tests = [self._all()]
        while self._takes("or"):
            tests.append(self._all())
        return lambda look_up: any(test(look_up) for test in tests)

    def _all(self) -> _Test:
        tests = [self._negated()]
        while self._takes("and"):
            tests.append(self._negated())
        return lambda look_up: all(test(look_up) for test in tests)

    def _negated(self) -> _Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._refusal(f"at most {_DEEPEST} levels are read")
        if self._takes("not"):
            test = _opposite(self._negated())
        elif self._takes("("):
            test = self._either()
            self._expect(")")
        else:
            test = self._comparison()
        self._depth -= 1
        return test

    def _comparison(self) -> _Test:
        is_name = self._kind == "word" and not _NUMBER.fullmatch(self._token)
        first = self._value("a name")
        if self._takes("not"):
            self._expect("in")
            return _opposite(self._membership(first))
        if self._takes("in"):
            return self._membership(first)
        if not is_name:
            raise self._refusal(f"{first.text} is no name, and a name comes first")
        self.names.append(first.text)
        if self._token not in _SIGNS:
            return lambda look_up: bool(look_up(first.text))
        sign = self._advance()
        is_list = sign not in _UNLISTED and self._takes("[")
        return _comparison(first.text, sign, self._list() if is_list else self._value("a value"))

    def _membership(self, first: _Value) -> _Test:
        """Reads what follows `in`: a list of values for a name, or the name of a list."""
        if self._takes("["):
            accepted = self._list().plain
            self.names.append(first.text)
            return lambda look_up: any(_equals(look_up(first.text), value) for value in accepted)
        name = self._value("a list or a name").text
        self.names.append(name)
        return lambda look_up: _contains(look_up(name), first, is_part_enough=False)

    def _list(self) -> _Value:
        entries: list[_Value] = []
        while not self._takes("]"):
            if entries:
                self._expect(",")
            entries.append(self._value("a value"))
        return _Value("", entries)

    def _value(self, needed: str) -> _Value:
        kind, token = self._kind, self._token
        if kind not in ("word", "quoted") or token.lower() in _RESERVED:
            raise self._refusal(f"{needed} is needed")
        self._advance()
        if kind == "quoted":
            return _Value(token[1:-1], token[1:-1])
        if number := _NUMBER.fullmatch(token):
            return _Value(token, float(number[1]) / (100 if number[2] else 1))
        return _Value(token, _CONSTANTS.get(token.lower(), token))

    def _takes(self, text: str) -> bool:
        is_there = self._token.lower() == text
        if is_there:
            self._advance()
        return is_there

    def _expect(self, text: str) -> None:
        if not self._takes(text):
            raise self._refusal(f"{text} is needed")

    def _advance(self) -> str:
        """Moves on to the next token, empty at the end; returns the one that was left."""
        left, found = self._token, _TOKEN.match(self._text, self._end)
        if found is None:
            raise self._refusal("it has a quote without an end, or an unknown sign", self._end)
        self._kind = found.lastgroup or ""
        self._token = found[self._kind] if self._kind else ""
        self._start, self._end = found.end() - len(self._token), found.end()
        return left

    def _refusal(self, needed: str, place: int | None = None) -> ConfigError:
        before = one_line(self._text[: self._start if place is None else place])[-_SHOWN:]
        got = f'got "{shortened(one_line(self._token))}"' if self._kind else "it ends"
        problem = f"{got}; {needed}" if place is None else needed
        after = f'after "{before}" ' if before else ""
        return ConfigError(
            f"{self._key}: {after}{problem}.", "Such as test_accuracy>0.98 and model.name=ann."
        )


def _opposite(test: _Test) -> _Test:
    return lambda look_up: not test(look_up)


def _comparison(name: str, sign: str, value: _Value) -> _Test:
    match sign:
        case "=" | "==":
            return lambda look_up: _equals(look_up(name), value)
        case "!=":
            return lambda look_up: look_up(name) is not None and not _equals(look_up(name), value)
        case "~":
            return lambda look_up: _contains(look_up(name), value, is_part_enough=True)
    return lambda look_up: _is_ordered(look_up(name), _ORDERS[sign], value)


def _equals(found: Any, value: _Value) -> bool:
    if isinstance(found, list) and isinstance(value.plain, list):
        return len(found) == len(value.plain) and all(map(_equals, found, value.plain))
    if isinstance(found, str):
        return found.casefold() == value.text.casefold() and value.plain is not None
    if isinstance(found, bool) or isinstance(value.plain, bool):
        return found is value.plain
    return bool(found == value.plain)


def _contains(found: Any, value: _Value, *, is_part_enough: bool) -> bool:
    """Says whether a list has an entry, or one with a text in it; or whether a text has a text in it."""
    if isinstance(found, list) and is_part_enough:
        return any(_contains(entry, value, is_part_enough=True) for entry in found)
    if isinstance(found, list):
        return any(_equals(entry, value) for entry in found)
    return isinstance(found, str) and value.text.casefold() in found.casefold()


def _is_ordered(found: Any, order: Callable[[Any, Any], Any], value: _Value) -> bool:
    """Compares numbers, or texts such as times and versions; nothing else has an order."""
    is_typed_number = isinstance(value.plain, float)
    if isinstance(found, str):
        is_comparable = found[:1].isdigit() or not is_typed_number
        return is_comparable and bool(order(found.casefold(), value.text.casefold()))
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return is_number and is_typed_number and bool(order(found, value.plain))
