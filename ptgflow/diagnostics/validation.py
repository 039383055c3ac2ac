"""What pydantic says of a value, as the reason in a message of ours."""


def reason_of(message: str) -> str:
    """`Input should be greater than 0` as the second half of a sentence, without the name of the exception."""
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
