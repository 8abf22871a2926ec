#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The README's tables of reasons and of limits, from the headers that define them, between
# `<!-- table: NAME -->` and `<!-- end -->`. Writes them; `--check` only compares.
set -eu
cd "$(dirname "$0")/.."

reasons()
{
	echo '| reason | because |'
	echo '|---|---|'
	# X(NAME, text, "help"), which may be broken over lines.
	tr -d '\n\\' <include/sl_reason.h | grep -oE 'X\([A-Z0-9_]+,[[:space:]]*[a-z0-9_]+,[[:space:]]*"[^"]*"' |
		sed -E 's/X\([A-Z0-9_]+,[[:space:]]*([a-z0-9_]+),[[:space:]]*"(.*)"/| `\1` | \2 |/' |
		grep -v '^| `none` '
}

limits()
{
	echo '| limit | value | of what |'
	echo '|---|---|---|'
	# The comment is at the end of the line, or a line of its own above it.
	awk '
		/^\/\* .* \*\/$/ { above = $0; gsub(/^\/\* | \*\/$/, "", above); next }
		/^#define SL_(KERNEL|MAX|STRING|READER|SKB)_[A-Z_]+ / {
			name = $2
			value = $0
			sub(/^#define [A-Z_]+ /, "", value)
			text = above
			if (match(value, /[ \t]*\/\* /)) {
				text = substr(value, RSTART + RLENGTH)
				sub(/ \*\/$/, "", text)
				value = substr(value, 1, RSTART - 1)
			}
			gsub(/[()]/, "", value)
			printf "| `%s` | %s | %s |\n", name, value, text
		}
		{ above = "" }
	' include/sl_limits.h
}

# README.md with its tables made new.
fresh()
{
	table=
	while IFS= read -r line; do
		case $line in
		'<!-- table: '*)
			table=${line#<!-- table: }
			table=${table% -->}
			printf '%s\n' "$line"
			"$table"
			;;
		'<!-- end -->')
			table=
			printf '%s\n' "$line"
			;;
		*) [ -n "$table" ] || printf '%s\n' "$line" ;;
		esac
	done <README.md
}

new=$(mktemp)
trap 'rm -f "$new"' EXIT
fresh >"$new"
if [ "${1-}" = --check ]; then
	diff -u README.md "$new"
	for name in reasons limits; do
		grep -q "^<!-- table: $name -->" README.md || { echo "no table '$name'" && exit 1; }
	done
else
	cat "$new" >README.md
fi
