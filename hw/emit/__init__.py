# SPDX-License-Identifier: Apache-2.0
"""Emitters of RTL and HLS C++. They loop over the stages, each of which knows its own module and function."""
