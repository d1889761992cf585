"""A StreamQueue's `.spec` as typed values.

Repeats every rule of the CRD that one object can break, so that the operator is safe where the CRD was changed.
"""

from streamqueue.api.parse.spec import NAME_MAX_LENGTH, check_name, parse_spec

__all__ = ["NAME_MAX_LENGTH", "check_name", "parse_spec"]
