"""Refusal of a request, with its HTTP status."""


class RequestError(Exception):
    """What the client of the service can mend.

    Args:
        message: One line: what was found, and what is allowed.
        status: HTTP status, 400 to 503.

    Attributes:
        status: The same.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
