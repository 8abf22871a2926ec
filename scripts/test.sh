#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Packages, build, every test. The last line is `N passed, N failed`.
#
# Each suite prints such a line of its own (several programs: several lines). One that
# dies, prints none, or skips something counts as a failure more.
set -u
cd "$(dirname "$0")/.." || exit 1

passed=0
failed=0
exec 4>&1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM

finish()
{
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
	exit
}

# suite NAME SECONDS COMMAND...
suite()
{
	name=$1
	limit=$2
	shift 2
	echo "== $name"
	# The status of the command, not of tee.
	status=$({ { timeout -k 10 "$limit" "$@" 2>&1; echo $? >&3; } | tee "$log" >&4; } 3>&1)
	counts=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 0\4/p' "$log" |
		awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }')
	set -- $counts
	passed=$((passed + $1))
	failed=$((failed + $2 + $3))
	if [ "$1" = 0 ] && [ "$2" = 0 ]; then
		echo "$name: FAILED: no tests counted (exit status $status)"
		failed=$((failed + 1))
	elif [ "$status" != 0 ] && [ "$2" = 0 ]; then
		echo "$name: FAILED: exit status $status"
		failed=$((failed + 1))
	fi
}

if ! scripts/setup.sh test; then
	failed=1
	finish
fi
echo "== build"
# All at once: no CPU waits at the end of a part for the longest compilation in it.
if ! make -s -j"$(nproc)" tests-built; then
	failed=1
	finish
fi
suite style 300 scripts/check.sh
suite unit 900 make -s -k -O -j"$(nproc)" unit
suite kernel 900 make -s -k -j"$(nproc)" kernel-tests
suite fuzz 900 make -s -k -O -j"$(nproc)" fuzz FUZZ_SECONDS=20
suite e2e 3600 make -s -k e2e
finish
