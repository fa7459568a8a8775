"""The house keeps its shape: imports go down, TensorFlow stays in its rooms, README.md shows the tree."""

import ast
import re
from collections.abc import Callable, Iterator, Set
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "mnist_exp"

FLOORS = (
    {"", "words", "statistics", "errors", "environment"},
    {"config"},
    {"runs"},
    {"data"},
    {"processes"},
    {"training"},
    {"evaluation", "comparison"},
    {"exports", "trackers"},
    {"report"},
    {"tuning"},
    {"sweeps"},
    {"modes"},
    {"worker", "api"},
    {"cli"},
    {"__main__"},
)
"""Rooms from the ground up; a room imports from lower floors only. "" holds the package's own
constants, and the names of what `api` offers, which it imports when they are used."""

GROUND = FLOORS[0]

HEAVY = ("tensorflow", "keras", "keras_tuner")

SLOW = ("matplotlib", "scipy", "PIL", "h5py", "pooch")
"""Libraries of a tenth of a second and more."""

ANSWERING = (
    "modes.evaluate", "modes.export", "modes.predict", "modes.verify", "data.dataset", "report.terminal",
)  # fmt: skip
"""What a refusal comes from: it loads neither those nor TensorFlow."""

HEAVY_ROOMS = (
    "training", "evaluation.evaluating", "evaluation.latency", "tuning.proposals", "tuning.stages",
    "tuning.trials", "tuning.conclusion", "exports.onnx", "exports.litert", "exports.litert_int8",
    "exports.saved_model", "exports.page", "exports.writing",
)  # fmt: skip
"""What may import TensorFlow when it is imported itself."""

LIGHT = (
    "words", "statistics", "errors", "environment", "config", "runs", "data", "processes", "comparison",
    "trackers", "report", "api", "cli", "modes", "sweeps.planning", "sweeps.sweep", "tuning.definition",
    "tuning.screen", "exports.formats", "exports.proof",
)  # fmt: skip
"""What loads TensorFlow through no other module either."""

LOADED_ON_REQUEST = ("modes.train", "modes.work")
"""What `modes.execution` imports when a job was accepted, and a worker once it listens."""

LATE = {
    ("api", "training.loading"): "reading runs does not wait for TensorFlow",
    ("worker", "modes.work"): "a worker hears of its parent's end while it imports TensorFlow",
    ("__main__", "cli"): "NumPy reads its variables when it is imported",
    ("__main__", "config.completion"): "Hydra is imported in a process that is prepared",
    ("cli", "modes.jobs"): "--help waits for nothing",
    ("data.completing", "data.formats"): "a default command opens no files",
    ("data.formats", "data.picture_folders"): "a refusal does not wait for Pillow",
    ("cli", "sweeps.sweep"): "--help waits for nothing",
    ("modes.execution", "report.run"): "a trial has no page",
    ("processes.guardian", "runs.writer"): "a guardian that is not needed costs nothing",
    ("report.comparison", "report.comparison_plots"): "a table alone does not wait for Matplotlib",
    ("report.comparison", "report.figures.style"): "a table alone does not wait for Matplotlib",
    ("report.comparison", "report.comparison_figures"): "a table alone does not wait for Matplotlib",
}
"""Imports within functions, but for those of modes, with the reason."""

MOST_LINES = 410


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room_of(module: str) -> str:
    return module.partition(".")[0]


def floor_of(module: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room_of(module) in rooms)


def within(tree: ast.AST, kinds: type[ast.AST] | tuple[type[ast.AST], ...]) -> set[ast.AST]:
    """Every node below a node of one of these kinds."""
    return {node for top in ast.walk(tree) if isinstance(top, kinds) for node in ast.walk(top)}


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def names_imported(node: ast.AST) -> Iterator[str]:
    """Whole names of what a statement imports, ours without the package's name."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom) and node.module is not None:
        for alias in node.names:
            own = f"{node.module}.{alias.name}".removeprefix("mnist_exp.")
            module = node.module.removeprefix("mnist_exp").removeprefix(".")
            yield own if own in MODULES else module


@cache
def imports(module: str, *, late: bool) -> frozenset[str]:
    """What a module imports when it is imported itself; or else within its functions.

    Imports for the type checker alone count as neither: they load nothing.
    """
    tree = tree_of(module)
    inside = within(tree, ast.FunctionDef)
    typing = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    nodes = [node for node in ast.walk(tree) if node not in typing and (node in inside) == late]
    return frozenset(name for node in nodes for name in names_imported(node))


def all_imports(module: str) -> set[str]:
    """Our own modules that a module names in an import of any kind, the type checker's included."""
    return {name for node in ast.walk(tree_of(module)) for name in names_imported(node) if name in MODULES}


def reached_from(module: str) -> set[str]:
    """Every module of ours that is loaded with one."""
    return {module} | closure(module, lambda name: imports(name, late=False) & MODULES.keys())


def closure(start: str, next_of: Callable[[str], Set[str]]) -> set[str]:
    """Everything that is reached in one step or more; `start` itself where a circle leads back to it."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = next_of(waiting.pop()) - found
        found |= new
        waiting += new
    return found


def is_in(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def loads(module: str, libraries: tuple[str, ...]) -> bool:
    return any(name.partition(".")[0] in libraries for name in imports(module, late=False))


def loads_tensorflow(module: str) -> bool:
    return loads(module, HEAVY)


def test_imports_go_down_only() -> None:
    upward = {
        (module, other)
        for module in MODULES
        for other in all_imports(module)
        if (module, other) != ("", "api")
        if room_of(other) != room_of(module) and floor_of(other) >= floor_of(module)
        if not (room_of(module) in GROUND and room_of(other) in GROUND)
    }
    assert upward == set()


def test_no_module_imports_itself_through_others() -> None:
    within_package = {
        module: {other for other in all_imports(module) - {module} if room_of(other) == room_of(module)}
        for module in MODULES
    }
    circles = {module for module in MODULES if module in closure(module, within_package.__getitem__)}
    assert circles == set()


def test_tensorflow_is_imported_in_its_rooms_only() -> None:
    heavy = {module for module in MODULES if loads_tensorflow(module)}
    assert {module for module in heavy if not is_in(module, HEAVY_ROOMS)} == set()


def test_command_plans_comparisons_and_pages_load_no_tensorflow() -> None:
    light = {module for module in MODULES if is_in(module, LIGHT) and module not in LOADED_ON_REQUEST}
    reaching = {module for module in light if any(map(loads_tensorflow, reached_from(module)))}
    assert reaching == set()


def test_a_refusal_waits_for_no_library() -> None:
    asked = {
        module for module in ANSWERING if any(loads(each, HEAVY + SLOW) for each in reached_from(module))
    }
    assert asked == set()


def test_only_modes_import_late() -> None:
    late = {
        (module, other)
        for module in MODULES
        if not is_in(module, ("modes.evaluate", "modes.export", "modes.predict", "modes.tune"))
        for other in imports(module, late=True)
        if other.removeprefix("mnist_exp.") in MODULES
    }
    assert {(module, other.removeprefix("mnist_exp.")) for module, other in late} == LATE.keys()


def test_modules_stay_readable() -> None:
    large = {name for name, path in MODULES.items() if len(path.read_text().splitlines()) > MOST_LINES}
    assert large == set()


def test_readme_shows_the_tree() -> None:
    tree = re.search(r"```text\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
    assert tree is not None
    shown, folders = set(), []
    for line in tree[1].splitlines():
        if match := re.match(r"( *)(\w+)/ ", line):
            folders = [*folders[: len(match[1]) // 2], match[2]]
        elif line.startswith("     "):
            shown |= {".".join([*folders, name]) for name in line.split()}
        else:
            shown |= {name for name in re.split(r"\s{2,}", line) if name in MODULES}
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    assert shown == MODULES.keys() - packages - {"__main__"}
