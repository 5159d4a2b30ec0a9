# SPDX-License-Identifier: Apache-2.0
"""What is built: the accelerator as data, its golden model, estimates, emitters and RTL."""
