"""`python -m aliaug_edge`, the form in which a launcher starts several processes of `ali-aug`."""

from aliaug_edge.cli import main

if __name__ == "__main__":
    main()
