"""Questions to finished runs: what a mode that trains nothing reads of a configuration."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from mnist_exp.config.commands import command, with_runs_dir
from mnist_exp.config.refusals import explain_rejection
from mnist_exp.errors import ConfigError

Question = TypeVar("Question", bound=Struct)


def refuse_unused(typed: Sequence[str], used: Collection[str], refusal: Callable[[str], ConfigError]) -> None:
    """Makes sure that nothing was asked for that would not count.

    Args:
        typed: The overrides of the command line.
        used: The root keys that count.
        refusal: Says of another key why it is refused.

    Raises:
        ConfigError: `refusal`'s.
    """
    for override in typed:
        key = override.partition("=")[0].lstrip("+~")
        if key.partition(".")[0] not in used:
            raise refusal(key)


def none_given(key: str, runs_dir: str, *example: str) -> ConfigError:
    """Says that a question names no runs, with a command that does.

    Args:
        key: What was not given.
        runs_dir: Where runs are looked for.
        example: The command's words.
    """
    words = with_runs_dir(example, {"runs_dir": runs_dir}, Path.cwd())
    return ConfigError(f"{key}: got none.", f"Say which, such as: {command(*words)}")


def read_question(tree: dict[str, Any], shape: type[Question]) -> Question:
    """Gives a configuration the types of a question; keys that it has no field for are left out.

    Args:
        tree: The resolved configuration.
        shape: The question's struct.

    Raises:
        ConfigError: A value is not accepted.
    """
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        raise explain_rejection(str(error), tree, shape) from error
