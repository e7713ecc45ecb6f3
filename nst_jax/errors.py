"""The one exception for what a user can put right."""


class InputError(ValueError):
    """An argument or an input file is wrong.

    The message is one line: it names the argument or the file, says what was wrong and what is allowed. The command
    line prints it on standard error and exits with code 2.
    """
