/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing into a sk_msg message. The bytes are the kernel's own copy of what was sent: since 6.5
 * sendfile(), splice() and MSG_ZEROCOPY are copied too (tcp_bpf_sendmsg(),
 * sk_msg_memcopy_from_iter()); before that, pages of a file have their copy bit set and no data
 * pointers, and pulling copies them. So only what data..data_end shows is written. The data path
 * and the self-test share this.
 */
#ifndef SL_INPLACE_BPF_H
#define SL_INPLACE_BPF_H

#include "sl_types.h"

#define SL_INPLACE_MAX 4096

/*
 * Whether all @size bytes can be written: they are in one element of the message. So a redirect
 * moves all of them or none: bpf_tcp_ingress() can stop between elements.
 */
SL_FN bool msg_is_whole(struct sk_msg_md *msg, __u32 size)
{
	return size <= SL_INPLACE_MAX && (long)msg->data_end - (long)msg->data == size;
}

/* Writes eight bytes at @off. False: they are not there. */
SL_FN bool msg_put(struct sk_msg_md *msg, __u32 off, __u64 word)
{
	void *data = (void *)(long)msg->data, *end = (void *)(long)msg->data_end;

	sl_opaque(off);
	if (off > SL_INPLACE_MAX)
		return false;
	data += off;
	if (data + sizeof(word) > end)
		return false;
	*(__u64 *)data = word;
	return true;
}

#endif /* SL_INPLACE_BPF_H */
