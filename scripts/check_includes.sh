#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The direction of includes: a header of include/ includes only lower ones; the parts of
# user/ know only those below them; libyaml and libbpf are each behind one part.
set -eu
cd "$(dirname "$0")/.."

wrong=0
say()
{
	echo "$*"
	wrong=1
}

# include/: file, rank. A new header gets its place here.
rank()
{
	case $1 in
	sl_stall.h) echo -1 ;;
	sl_types.h) echo 0 ;;
	sl_limits.h) echo 1 ;;
	sl_reason.h | sl_stack.h | sl_maps.h | sl_bytes.h | sl_selftest.h | sl_search.h | sl_date.h) echo 2 ;;
	sl_head.h) echo 3 ;;
	sl_body.h) echo 4 ;;
	sl_stats.h | sl_counts.h | sl_session.h | sl_table.h) echo 5 ;;
	sl_field.h | sl_attach.h | sl_outcome.h | sl_pool.h | sl_canned.h) echo 6 ;;
	sl_start.h) echo 7 ;;
	sl_http.h) echo 8 ;;
	sl_index.h | sl_plain.h) echo 7 ;;
	sl_rule.h) echo 8 ;;
	sl_match.h) echo 9 ;;
	sl_pick.h | sl_hash.h) echo 10 ;;
	sl_decide.h | sl_cohort.h) echo 11 ;;
	sl_lb.h) echo 12 ;;
	esac
}

for file in include/*.h; do
	name=${file#include/}
	own=$(rank "$name")
	[ -n "$own" ] || { say "$file: has no rank in $0" && continue; }
	for inc in $(sed -n 's/^#include "\(.*\)"$/\1/p' "$file"); do
		[ "$inc" != vmlinux.h ] || continue
		other=$(rank "$inc")
		if [ -z "$other" ] || [ "$other" -ge "$own" ]; then
			say "$file: includes $inc, which is not below it"
		fi
	done
done

# user/: which parts a part may include.
below()
{
	case $1 in
	util) echo util ;;
	config) echo util config ;;
	balance) echo util config balance ;;
	dns) echo util config dns ;;
	kernel) echo util config balance kernel ;;
	attach) echo util config balance kernel attach ;;
	daemon) echo util config balance dns kernel attach daemon ;;
	demo) echo util demo ;;
	cmd) echo util config balance dns kernel attach daemon demo cmd ;;
	esac
}

for dir in user/*/; do
	part=$(basename "$dir")
	allowed=$(below "$part")
	[ -n "$allowed" ] || { say "$dir: has no place in $0" && continue; }
	for file in $(find "$dir" -name '*.[ch]'); do
		for inc in $(sed -n 's/^#include "\(.*\)\/.*"$/\1/p' "$file"); do
			case " $allowed " in
			*" ${inc%%/*} "*) ;;
			*) say "$file: includes $inc/, which is not below $part/" ;;
			esac
		done
	done
done

n=$(grep -rlE '^#include <yaml.h>' user | wc -l)
[ "$n" = 1 ] || say "<yaml.h> is included by $n files of user/, not one"
n=$(grep -rlE '^#include <ares.h>' user | wc -l)
[ "$n" = 1 ] || say "<ares.h> is included by $n files of user/, not one"
for file in $(grep -rlE '^#include (<bpf/|".*skel\.h")' user | grep -v '^user/kernel/'); do
	say "$file: includes libbpf or a skeleton, which are user/kernel/'s"
done
exit $wrong
