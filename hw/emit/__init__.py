# SPDX-License-Identifier: Apache-2.0
"""An accelerator as circuits: loops over its stages, which know their modules and functions themselves."""
