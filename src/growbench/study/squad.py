"""What the config's checks must know of SQuAD: its tasks, and how much of a window holds context."""

SQUAD_TASKS = ("SQuAD1.1", "SQuAD2.0")
QUESTION = 64  # most tokens of a question (BERT's max_query_length)
SPECIAL = 4  # most special tokens around question and context (RoBERTa's)


def question_limit(max_length: int) -> int:
    """Return how many tokens of a question are read: at most half of a window of `max_length` tokens."""
    return min(QUESTION, max_length // 2)


def least_room(max_length: int) -> int:
    """Return how many tokens of context a window of `max_length` tokens always holds."""
    return max_length - question_limit(max_length) - SPECIAL
