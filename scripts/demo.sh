#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Packages, build, and the tutorial: see `sluice demo --help`.
set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh build
make -s -j"$(nproc)"
exec "${O:-build}/sluice" demo "$@"
