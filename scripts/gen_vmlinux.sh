#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Writes vmlinux.h: of the running kernel's types those that our BPF sources name. Needed
# again when a source names a new kernel type, member or constant; on any kernel that has it,
# since CO-RE finds members by name when the programs are loaded.
set -eu
cd "$(dirname "$0")/.."

command="bpftool btf dump file ${BTF:=/sys/kernel/btf/vmlinux} format c"
sources=$(ls bpf/*.c bpf/*.h include/*.h tests/kernel/*.bpf.c /usr/include/bpf/bpf_helpers.h)
dump=$(mktemp)
new=$(mktemp)
trap 'rm -f "$dump" "$new"' EXIT
$command >"$dump"
python3 -B scripts/trim_btf.py "$dump" "Linux $(uname -r), $command" $sources >"$new"
cat "$new" >vmlinux.h
