"""What is said to people: one line, what is wrong, where, and what to do about it."""


class UserError(Exception):
    """The user's mistake, or the world's: its text is shown as it is and the exit code is 2.

    Everything else is a fault of this program: its traceback goes to the log, one line to the person.
    """


class EmptyMask(UserError):
    """A mask in which nothing is marked."""


class OtherSize(UserError):
    """A mask or a truth that is not of its photo's size."""


def reason_of(error: BaseException) -> str:
    """What somebody else's error says, in one line that is not long."""
    return " ".join(str(error).split())[:200] or type(error).__name__
