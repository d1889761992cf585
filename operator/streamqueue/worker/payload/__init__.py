"""A task's fields as the values that a handler asks for, and back."""
