"""`python -m simtrain` is the command `simtrain`."""

from simtrain.cli import main

if __name__ == "__main__":
    main()
