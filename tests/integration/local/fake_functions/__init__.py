"""Functions of a small platform of its own, for tests of the stack that runs them."""
