"""`mnist-exp`, and `python -m mnist_exp`."""

import sys

from mnist_exp.processes.start import prepare


def main() -> None:
    """Runs the command line in a process that nothing around it has a say in."""
    prepare()
    from mnist_exp.config import completion

    if completion.is_asked(sys.argv):
        completion.answer()
        return
    from mnist_exp.cli import main as run_command_line  # imports NumPy, which reads its variables then

    run_command_line()


if __name__ == "__main__":
    main()
