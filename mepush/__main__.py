"""`python -m mepush`: the command, where its folder of programs is not on the path."""

from mepush.main import main

if __name__ == "__main__":
    main()
