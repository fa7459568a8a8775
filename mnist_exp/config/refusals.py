"""What a user is told when a configuration is refused: one line, with the nearest valid name."""

import errno
import re
import shlex
import typing
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Literal

import msgspec
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf

from mnist_exp import CONF_DIR
from mnist_exp.config.arguments import OWN_YAML, likeliest, options_elsewhere
from mnist_exp.config.commands import setting
from mnist_exp.config.hints import (
    hydra_key_meant,
    nearest_key,
    nearest_within,
    numbers_in,
    option_meant,
    options_with,
    value_meant,
)
from mnist_exp.config.keys import FREE_NODES, MODE_KEYS, fields_of, known_keys, options_of, shipped_keys
from mnist_exp.config.letters import describe_twins
from mnist_exp.config.overrides import override_value, plain_key
from mnist_exp.config.requests import SweepRequest
from mnist_exp.config.schema import Config, Count
from mnist_exp.config.trees import node_at
from mnist_exp.errors import ConfigError, nearest
from mnist_exp.words import shortened

_LAUNCHERS = {"joblib": "joblib", "ray": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}
"""Launchers of Hydra's, and the extra that installs each."""

_LEXER = "LexerNoViableAltException: "
_MOST_LETTERS = 500
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
_TYPES = re.compile(r"\b(" + "|".join(_WORDS) + r")\b")
_ADVICE = re.compile(r"\nTo append to your config use .*|\s*reference_type=.*|\s*object_type=.*", re.DOTALL)


def explain_rejection(
    message: str, tree: dict[str, Any], shape: type[msgspec.Struct] = Config
) -> ConfigError:
    """Explains msgspec's rejection, such as ``Expected `float` <= 1.0 - at `$.training.x` ``."""
    problem, _, place = message.partition(" - at `")
    key = place.partition("$")[2].rstrip("`").lstrip(".")
    if found := re.match(r"Object (?:contains unknown|missing required) field `(.*)`", problem):
        return _explain_field(problem, shortened(f"{key}.{found[1]}" if key else found[1]), shape)
    shown = key
    for node in FREE_NODES:
        shown = shown.replace(node, "")
    value = node_at(tree, key)
    if place.startswith("key` in"):
        return ConfigError(f"{shown}: got a key that is not text.")
    if problem.startswith("Invalid"):
        accepted = _accepted_values(key, shape)
        hint = nearest(str(value), accepted) if accepted else ""
        if hint.startswith("Accepted: ") and _is_or_number(key, shape):
            also = ", a share such as 0.1" if key == "data.validation" else ""
            hint = hint.replace(": ", f": whole numbers{also}, ", 1)
        return ConfigError(f"{shown}: got {_quoted(value)}.", describe_twins(str(value)) or hint)
    if problem.startswith("Expected `str` matching regex"):
        return ConfigError(
            f'{shown}: got {_quoted(value)}; letters, digits, "_", "." and "-" are accepted, 64 at most.',
            describe_twins(str(value)),
        )
    expectation = _in_words(problem.removeprefix("Expected ").partition(", got")[0])
    if "or text" in expectation and _is_or_number(key, shape):
        expectation = f"a whole number or {' or '.join(sorted(_accepted_values(key, shape)))}"
    hint = value_meant(shown, value, expectation)
    if not hint and (accepted := _accepted_values(key, shape)):
        hint = nearest(str(value), accepted)
    return ConfigError(f"{shown}: got {as_typed(value)}; expected {expectation}.", hint)


def _explain_field(problem: str, key: str, shape: type[msgspec.Struct]) -> ConfigError:
    """Explains a key that is missing, unknown, or that of another option of its group."""
    if "missing" in problem:
        return ConfigError(f"{key}: not given, and there is no default.")
    known = known_keys() | {other for other, _ in fields_of(shape)}
    if key in known or (key.count(".") == 1 and options_with(key)):
        return _explain_absent(key, problem)
    return ConfigError(f"{key}: there is no such key.", likeliest(key) or nearest_within(key, known))


def explain_hydra(error: Exception, typed: Sequence[str]) -> ConfigError:
    """Explains why Hydra cannot compose a configuration."""
    refusal = _explain_hydra(error, typed)
    # A request may be as long as the system lets it, and what Hydra says about it, longer.
    return ConfigError(shortened(refusal.message, _MOST_LETTERS), shortened(refusal.hint, _MOST_LETTERS))


def _explain_hydra(error: Exception, typed: Sequence[str]) -> ConfigError:
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = (error.missing_cfg_file or "").rpartition("/")
        if group == "hydra/launcher" and (extra := _LAUNCHERS.get(option)):
            return ConfigError(
                f"hydra/launcher: {option} is not installed.",
                f"Install it with: pip install 'mnist-exp[{extra}]'",
            )
        hint = option_meant(group, option, error.options)
        return ConfigError(f'{group}: there is no "{shortened(option)}".', hint)
    text = str(error)
    if found := re.match("Cannot find primary config '(.*?)'", text):
        meant = options_elsewhere(found[1])
        return ConfigError(
            f'--config-name: there is no "{shortened(found[1])}".', f"Write {meant[0]}" if meant else OWN_YAML
        )
    if isinstance(error, OverrideParseException):
        return _explain_letter(error) or _refuse_as_text(error.override or "") or _explain_grammar(error)
    if isinstance(error, OSError) and error.filename:
        if error.errno == errno.ENAMETOOLONG and not any(word.startswith("hydra.") for word in typed):
            return ConfigError(f"{shortened(' '.join(typed))}: {error.strerror}.")
        path = shortened(str(error.filename), 200)
        return ConfigError(f"hydra.run.dir: {path}: {error.strerror}.", "Name a new directory.")
    if refusal := _explain_signs(text, typed) or _explain_kind(text, error, typed):
        return refusal
    found = re.search(r"Could not override '([^']*)'", text)
    if found and (refusal := _explain_key(found[1], typed, str(error.__cause__ or text))):
        return refusal
    problem = " ".join(text.split())
    if ": " in problem and isinstance(error, HydraException):
        return ConfigError(problem)
    words = shortened(" ".join(typed))
    return ConfigError(f"{words}: Hydra cannot compose this: {problem or _reason(error)}.")


def _explain_signs(text: str, typed: Sequence[str]) -> ConfigError | None:
    """Explains a + or ~ before what is there, or is not, and several values without -m."""
    if re.search(r"Multiple values for|force-add of config groups|already at|more than once", text):
        for word in typed:
            key = word.partition("=")[0]
            if key.startswith("+") and key.strip("+") in text:
                return ConfigError(
                    f"{shortened(word)}: {key.strip('+')} exists already.",
                    f"Leave out the +: {shortened(word.lstrip('+'))}",
                )
    if text.startswith("Could not delete"):
        word = next((word for word in typed if word.startswith("~")), "~")
        key = word.partition("=")[0].lstrip("~")
        is_there = options_of(key) or key in known_keys()
        hint = f"To choose, write {key}=…." if is_there else likeliest(key) or nearest_key(key)
        return ConfigError(f"{shortened(word)}: there is nothing to delete.", hint)
    if found := re.match(r"Ambiguous value for argument '(.*)'", text):
        key, _, value = found[1].partition("=")
        reading = [mode for mode in MODE_KEYS if mode != "tune" and f"mode={mode}" in typed]
        if reading:
            hint = (
                "Name one." if reading in (["verify"], ["export"]) else f"Several are a list: {key}=[{value}]"
            )
            return ConfigError(f"{shortened(found[1])}: mode={reading[0]} cannot be swept.", hint)
        refusal = _refuse_value(key, value)
        number = f" {refusal.hint}" if refusal and "a number" in refusal.message else ""
        return ConfigError(
            f"{shortened(found[1])}: several values make a sweep.",
            f"Add -m (--multirun); a list is written in brackets, a text with commas in quotes.{number}",
        )
    return None


def _explain_kind(text: str, error: Exception, typed: Sequence[str]) -> ConfigError | None:
    """Explains what is no option's name, and a mapping or a list in place of the other."""
    if text.startswith("Config group override must be"):
        for word in typed:
            group, _, value = word.partition("=")
            options = options_of(group)
            if options and not isinstance(override_value(word)[1], str | list | dict):
                return ConfigError(
                    f"{group}: got {value}; an option's name is needed.", nearest(value, options)
                )
    if found := re.match(r"Error merging override (.*)", text):
        key, _, value = found[1].partition("=")
        if refusal := _refuse_value(*override_value(found[1])):
            return refusal
        cause = (str(error.__cause__ or "").strip().splitlines() or [""])[0].rstrip(".")
        if "is not a subclass of" in cause:
            cause = "a mapping is needed"
        hint = f"Write all of it: {key.rpartition('.')[0]}=[…]" if "out of range" in cause else ""
        return ConfigError(f"{plain_key(key)}: got {shortened(value)}: {cause}.", hint)
    return None


def _explain_key(key: str, typed: Sequence[str], cause: str) -> ConfigError | None:
    """Explains a key that the composed configuration does not have."""
    root = key.partition(".")[0]
    mode = next((mode for mode in MODE_KEYS if f"mode={mode}" in typed), "")
    modes = [mode for mode, keys in MODE_KEYS.items() if root in keys]
    if modes and mode not in modes:
        return _explain_mode(key, modes, mode)
    owners = options_with(key)
    values = [word.partition("=")[2] for word in typed if word.startswith(f"{root}=")]
    swept = [option for value in values for option in value.split(",")]
    others = [option for option in swept if option not in owners]
    if len(swept) > 1 and owners and others:
        return ConfigError(
            f"{key}: belongs to {' or '.join(f'{root}={option}' for option in owners)}, and not to "
            f"{' and '.join(f'{root}={option}' for option in others)}.",
            "Sweep over each in a command of its own.",
        )
    if (key in known_keys() or owners) and _is_swept(root, typed):
        return ConfigError(
            f"{key}: Hydra first composes a sweep without the swept values, and the default {root} has no "
            "such key.",
            f"Write ++{key}=… instead.",
        )
    if key in known_keys():
        return _explain_absent(key, cause)
    if (option := key.partition(".")[2]) in options_of(root):
        return ConfigError(f"{key}: there is no such key.", f"Write {root}={option}")
    if root == "hydra":
        return ConfigError(f"{shortened(key)}: Hydra has no such key.", hydra_key_meant(key))
    if mode in modes and mode != "tune":
        node = OmegaConf.select(OmegaConf.load(CONF_DIR / "mode" / f"{mode}.yaml"), root)
        accepted = [f"{root}.{name}" for name in node or ()] or [root]
        return ConfigError(f"{shortened(key)}: there is no such key.", nearest(key, accepted))
    hint = likeliest(key) or nearest_key(key)
    if mode not in ("", "tune") and "." not in key:
        hint = _own_key_meant(key, mode) or nearest(key, ["runs_dir", *MODE_KEYS[mode]])
    return ConfigError(f"{shortened(key)}: there is no such key.", hint)


def _explain_mode(key: str, modes: Sequence[str], chosen: str) -> ConfigError:
    """Explains a key of other modes, or one that the chosen mode has by a similar name."""
    *others, last = [f"mode={mode}" for mode in modes]
    choices = f"{', '.join(others)} or {last}" if others else last
    near = (_own_key_meant(key, chosen) or nearest(key, MODE_KEYS[chosen])) if chosen else ""
    hint = near if near.startswith("Did you mean") else f"Add {choices}."
    return ConfigError(f"{key}: belongs to {choices}.", hint)


def _own_key_meant(key: str, mode: str) -> str:
    """Says which key of a mode's own node ends so; empty for none."""
    own = [f"{root}.{key}" for root in MODE_KEYS[mode] if f"{root}.{key}" in shipped_keys()]
    return f'Did you mean "{own[0]}"?' if own else ""


def _explain_letter(error: OverrideParseException) -> ConfigError | None:
    """Names a character that Hydra's grammar does not take without quotes; None for other errors."""
    text, override = str(error), error.override or ""
    if not text.startswith(f"{_LEXER}{override}\n"):
        return None
    place = text.removeprefix(f"{_LEXER}{override}\n").index("^") - len(_LEXER)  # under the character
    key, equals, value = override.partition("=")
    letter = ascii(override[place]) if not override[place].isprintable() else override[place]
    message = f"{shortened(key)}: {letter} (character {place + 1} of {shortened(override)}) "
    if not equals or place < len(key):
        return ConfigError(f"{message}cannot be part of a key.", "Keys are letters, digits, _ and dots.")
    if letter in "'\"" and value.count(letter) == 1 and value.startswith(letter):
        return ConfigError(f"{message}opens quotes that nothing closes.", f"Close them: {letter}…{letter}.")
    if refusal := _refuse_as_text(override):
        return refusal
    if re.search(r"^[\[{]|,", value):
        return ConfigError(f"{message}needs quotes.", 'Put that text in quotes of its own: "…".')
    quoted = shlex.quote(setting(key, value))
    return ConfigError(f"{message}needs quotes.", f"Put the value in quotes of its own: {shortened(quoted)}")


def _refuse_as_text(override: str) -> ConfigError | None:
    """Says what a key takes whose value would be refused in quotes, too; None where these would help."""
    key, _, value = override.partition("=")
    if value.startswith("[") and not numbers_in(value):
        return None
    if options := options_of(plain_key(key)):
        return ConfigError(f"{plain_key(key)}: got {_quoted(value)}.", nearest(value, options))
    return _refuse_value(plain_key(key), value)


def _refuse_value(key: str, value: Any) -> ConfigError | None:
    """Says what a key takes that does not take a value; None where it does, or is not known."""
    refusal, tree = None, value
    for part in reversed(key.split(".")):
        tree = {part: tree}
    for annotation in _types_of(key, Config) + _types_of(key, SweepRequest):
        try:
            msgspec.convert(value, annotation)
        except msgspec.ValidationError as error:
            refusal = explain_rejection(f"{error} - at `$.{key}`", tree)
        else:
            return None
    return refusal


def _explain_grammar(error: OverrideParseException) -> ConfigError:
    override = error.override or ""
    for opening, closing in ("[]", "{}", "()"):
        if override.count(opening) > override.count(closing):
            return ConfigError(
                f"{shortened(override)}: no {closing} closes its {opening}.", f"Add {closing}."
            )
    # Hydra repeats the override in its own way of saying so.
    problem = shortened(str(error).splitlines()[0].removesuffix(f": {override}"), 200)
    return ConfigError(
        f"{shortened(override)}: not an override that Hydra can read: {problem}.", _advise_quotes(override)
    )


def _advise_quotes(override: str) -> str:
    """Advises quotes of its own around a value that has none, brackets in a file's name, say."""
    key, equals, value = override.partition("=")
    if not re.fullmatch(r"[\w.@/]+", key) or not value or re.search(r"""^\[|["'\\${}\n]""", value):
        return ""
    quoted = shlex.quote(f'{key}{equals}"{value}"')
    return f"Put the value in quotes of its own: {shortened(quoted)}"


def _reason(error: BaseException) -> str:
    """Says why, for an error that does not: as the one before it does, or by its name."""
    cause = error.__cause__ or error.__context__
    lines = str(error).strip().splitlines()
    return lines[0] if lines else _reason(cause) if cause else type(error).__name__


def _is_swept(group: str, typed: Sequence[str]) -> bool:
    """Says whether a group's options are what a sweep goes over, on the command line or in a plan."""
    is_listed = any(word.startswith(f"{group}=") and "," in word for word in typed)
    return is_listed or any(word.startswith("sweep_plan=") for word in typed)


def _explain_absent(key: str, cause: str) -> ConfigError:
    group = key.partition(".")[0]
    if options := options_with(key):
        choices = " or ".join(f"{group}={option}" for option in options)
        return ConfigError(f"{key}: the chosen {group} has no such key.", f"It belongs to {choices}.")
    if group == "optimizer":
        return ConfigError(f"{key}: the chosen optimizer's file does not list it.", f"Add it: +{key}=…")
    return ConfigError(f"{key}: {_ADVICE.sub('', cause).strip().splitlines()[0]}.")


def _types_of(key: str, shape: type[msgspec.Struct]) -> list[Any]:
    return [annotation for name, annotation in fields_of(shape) if name == key]


def _is_or_number(key: str, shape: type[msgspec.Struct]) -> bool:
    members = [member for annotation in _types_of(key, shape) for member in typing.get_args(annotation)]
    return Count in members and any(typing.get_origin(member) is Literal for member in members)


def _accepted_values(key: str, shape: type[msgspec.Struct]) -> set[str]:
    return {word for annotation in _types_of(key, shape) for word in _words(annotation)}


def _words(annotation: Any) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        yield from (str(member.value) for member in annotation)
    for argument in typing.get_args(annotation):
        yield from [argument] if isinstance(argument, str) else _words(argument)


def _in_words(expectation: str) -> str:
    """Says what msgspec expected: ``int | str`` becomes `a whole number or text`."""
    words = re.sub(
        r"`([^`]*)`", lambda found: _TYPES.sub(lambda name: _WORDS[name[0]], found[1]), expectation
    )
    return words.replace(" | ", " or ").replace("text of length >= 1", "text that is not empty")


def as_typed(value: Any) -> str:
    """Writes a value for a message, text in quotes, long ones cut off."""
    return "null" if value is None else _quoted(value) if isinstance(value, str) else shortened(str(value))


def _quoted(value: Any) -> str:
    return f'"{shortened(str(value))}"'
