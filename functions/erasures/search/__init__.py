"""The places where a person is looked for: a module each."""
