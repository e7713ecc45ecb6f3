"""The one exception for what a user can put right, and the exit codes."""

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130  # 130: the shell's code for a program that Ctrl-C ended


class InputError(ValueError):
    """An argument or an input file is wrong.

    The message is one line: it names the argument or the file, says what was wrong and what is allowed. The command
    line prints it on standard error and exits with code 2.
    """
