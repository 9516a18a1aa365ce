"""Errors that a user can cause, each with the exit code that the command line gives it.

A message says which thing, what was expected, what came, and what to do about it. Anything that is
not an `AliAugError` is a bug of ours and keeps its traceback.
"""

from __future__ import annotations


class AliAugError(Exception):
    """The work could not be done; the message is for the user. Exit code 1."""

    exit_code = 1


class DataError(AliAugError):
    """An image, a mask or a folder of them is not usable."""


class BundleError(AliAugError):
    """A bundle is damaged, too new, or does not offer what was asked of it."""


class ParityError(AliAugError):
    """An exported graph does not reproduce the model it came from."""


class OutputError(AliAugError):
    """The output place is taken by something else, or cannot be written."""


class MissingDependencyError(AliAugError):
    """A package that this command needs is not installed; the message has the install line."""
