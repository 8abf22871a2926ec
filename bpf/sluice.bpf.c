// SPDX-License-Identifier: GPL-2.0-only
/*
 * The data path as one object. One translation unit and not `bpftool gen object`: the linker of
 * libbpf 1.1 cannot resolve a kernel function that two objects name.
 */
#include "capture.bpf.c"
#include "request.bpf.c"
#include "response.bpf.c"
#include "relay.bpf.c"

char LICENSE[] SEC("license") = "GPL";
