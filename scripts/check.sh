#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Style: what needs no build. Prints what is wrong, then `N passed, N failed`.
set -u
cd "$(dirname "$0")/.." || exit 1

passed=0
failed=0
tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT

# check NAME COMMAND...: passes when the command succeeds; its output is shown when not.
check()
{
	name=$1
	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED %s\n%s\n' "$name" "$out"
	fi
}

# The files of the project, one a line: tracked and new ones, no generated ones.
files()
{
	# The tests are root; the clone may be somebody else's.
	git -c safe.directory='*' ls-files -co --exclude-standard -- "$@" | grep -vx vmlinux.h | while read -r f; do
		[ -f "$f" ] && echo "$f"
	done
}

format()
{
	files '*.c' '*.h' | xargs clang-format --dry-run -Werror 2>&1 | grep 'error:' | head -n 20 >&2
	files '*.c' '*.h' | xargs clang-format --dry-run -Werror 2>/dev/null
}

# No match is what is wanted.
none()
{
	! grep "$@"
}

spdx()
{
	wrong=0
	for f in $(files '*.c' '*.h' '*.sh' '*.py' '*.mk' '*.js' '*.java' Makefile .ci/run); do
		[ ! -s "$f" ] || head -n 2 "$f" | grep -q 'SPDX-License-Identifier: GPL-2.0-only' && continue
		echo "$f: no SPDX line"
		wrong=1
	done
	return $wrong
}

shells()
{
	wrong=0
	for f in $(files '*.sh' .ci/run); do
		sh -n "$f" || wrong=1
		[ -x "$f" ] || { echo "$f: not executable" && wrong=1; }
	done
	return $wrong
}

readme()
{
	scripts/readme_tables.sh --check
}

# What the README explains is what the program says.
messages()
{
	sed -n '/^## Troubleshooting/,/^## L/s/^| `\([^`]*\)` .*/\1/p' README.md >"$tmp"
	[ -s "$tmp" ] || { echo 'no messages found' && return 1; }
	wrong=0
	# A message can be broken over source lines: join its strings.
	text=$(cat $(files 'user/*.c') | tr -d '\n\t' | sed 's/" *"//g')
	while IFS= read -r message; do
		case $text in
		*"$message"*) ;;
		*) echo "no message has '$message'" && wrong=1 ;;
		esac
	done <"$tmp"
	return $wrong
}

# A list that is empty would make every check pass.
listed()
{
	n=$(files | wc -l)
	[ "$n" -ge 100 ] || { echo "git lists $n files" && return 1; }
}

check 'files' listed
check 'clang-format' format
check 'direction of includes' scripts/check_includes.sh
check 'SPDX line' spdx
check 'white space at the end of a line' none -nIE '[[:blank:]]$' $(files | grep -vE '^LICENSE$|^tests/corpus/')
check 'shell syntax' shells
check 'python syntax' python3 -c 'import ast, sys
for f in sys.argv[1:]: ast.parse(open(f).read(), f)' $(files '*.py' tests/e2e/run)
check 'tables of the README' readme
check 'messages of the README' messages
check 'compatibility table' scripts/compat.py
check 'messages of the config' scripts/messages.py
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
