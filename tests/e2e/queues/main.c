// SPDX-License-Identifier: GPL-2.0-only
/*
 * `queues`: a line for each TCP socket of this network namespace that is in a sockmap: its port,
 * its peer's, bytes in psock->ingress_msg, segments in psock->ingress_skb, messages in the former
 * that were redirected and that came by TCP, size of a message's struct.
 */
#include <bpf/bpf.h>
#include <stdio.h>
#include <unistd.h>

#include "queues.skel.h"

int main(void)
{
	struct queues_bpf *skel = queues_bpf__open_and_load();
	struct bpf_link *link = skel ? bpf_program__attach_iter(skel->progs.queues, NULL) : NULL;
	int fd = link ? bpf_iter_create(bpf_link__fd(link)) : -1;
	char buf[4096];
	ssize_t n;

	if (fd < 0) {
		perror("queues");
		return 1;
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, n, stdout);
	return n ? 1 : 0;
}
