"""What went wrong and what to do about it, in one sentence for the user."""


class Failure(Exception):
    pass
