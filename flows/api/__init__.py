# SPDX-License-Identifier: Apache-2.0
"""The Python interface: `adiabit.fit`, `adiabit.export`, `adiabit.compile` and what they return.

Each object stands for a finished stage of a pipeline, the same that the command line runs: the same folders, which are
reused by whichever of the two comes next. Progress goes to the logger `adiabit`.
"""
