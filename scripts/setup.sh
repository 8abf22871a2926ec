#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Installs what is missing on Debian 12: `setup.sh build` to build and run sluice,
# `setup.sh test` to test it too, `setup.sh bench` to build it and compare it with others.
# Says nothing when nothing is to do.
set -eu

BUILD="gcc libc6-dev make pkg-config clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev
	libyaml-dev libjansson-dev libmicrohttpd-dev libpcre2-dev libc-ares-dev liburing-dev curl"
TEST="git libcunit1-dev libclang-rt-14-dev clang-format python3 python3-h11 iproute2 procps util-linux mount jq
	wrk nginx-light nodejs python3-websockets caddy default-jdk-headless"
BENCH="python3 iproute2 wrk nginx-light haproxy"

POLICY=/usr/sbin/policy-rc.d

die()
{
	echo "setup: $*" >&2
	exit 1
}

missing()
{
	for p in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] ||
			echo "$p"
	done
}

# Packages of servers start them when they are installed, unless this says no.
forbid_services()
{
	[ ! -e $POLICY ] || mv $POLICY $POLICY.before-sluice
	printf '#!/bin/sh\nexit 101\n' >$POLICY
	chmod 755 $POLICY
}

restore()
{
	rm -f "$log"
	[ -z "$forbidden" ] || rm -f $POLICY
	[ ! -e $POLICY.before-sluice ] || mv $POLICY.before-sluice $POLICY
}

# Runs apt-get; on failure one line with apt's own reason.
apt()
{
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 && return
	reason=$(sed -n 's/^E: //p' "$log" | head -n 1)
	echo "setup: 'apt-get $1' failed: ${reason:-$(tail -n 1 "$log")}" >&2
	return 1
}

case ${1-} in
build) want=$BUILD ;;
test) want="$BUILD $TEST" ;;
bench) want="$BUILD $BENCH" ;;
*)
	echo "usage: $0 build|test|bench" >&2
	exit 2
	;;
esac

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
	die "not a Debian system; install what these packages of Debian 12 hold:" $want
need=$(missing $want)
[ -n "$need" ] || exit 0
[ "$(id -u)" = 0 ] || die "run as root to install" $need

log=$(mktemp)
forbidden=
trap restore EXIT
trap 'exit 1' HUP INT TERM

echo "setup: installing" $need
# Old lists may do: the installation decides.
apt update || true
forbidden=1
forbid_services
apt install -y --no-install-recommends $need || exit 1
# ... nor at the next boot.
if command -v systemctl >/dev/null; then
	for p in $need; do
		case $p in
		nginx-light) systemctl -q disable nginx 2>/dev/null || true ;;
		haproxy) systemctl -q disable haproxy 2>/dev/null || true ;;
		caddy) systemctl -q disable caddy 2>/dev/null || true ;;
		esac
	done
fi
need=$(missing $want)
[ -z "$need" ] || die "still missing:" $need
