# SPDX-License-Identifier: Apache-2.0
"""The hardware: the accelerator as data, its golden model, folding, estimates, emitters, RTL and HLS libraries."""
