# SPDX-License-Identifier: Apache-2.0
"""The one exception that every floor shares: a mistake of the user, not a bug of ours."""


class UserError(Exception):
    """A fault that the user can fix; the command line prints its one line and exits with code 2.

    The text reads `place: what is wrong; the constraint; the remedy`, on one line, e.g.
    `folding.toml: [layers.fc1]: simd=50 does not divide 784; nearest that do: [28, 49, 56]`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
