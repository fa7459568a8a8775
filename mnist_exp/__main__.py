"""`python -m mnist_exp` does what `mnist-exp` does."""

from mnist_exp.cli import main

if __name__ == "__main__":
    main()
