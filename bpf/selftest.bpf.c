// SPDX-License-Identifier: GPL-2.0-only
/*
 * The start-up self-test's programs: the data path's rules for redirecting, without its tables, on
 * sockets of the test's own. user/kernel/selftest*.c drives them and judges.
 */
#include "probe.bpf.h"
#include "inplace.bpf.h"
#include "sender.bpf.h"
#include "sl_selftest.h"

#define SL_ST_SOCKMAP(name_)                        \
	struct {                                    \
		__uint(type, BPF_MAP_TYPE_SOCKMAP); \
		__uint(max_entries, SL_ST_N);       \
		__type(key, __u32);                 \
		__type(value, __u64);               \
	} name_ SEC(".maps")

SL_ST_SOCKMAP(apps);	/* as `clients` and `servers`: st_msg and st_pass */
SL_ST_SOCKMAP(sockets); /* as `fronts` and `backs`: targets; here of all, for st_learn */

struct sl_st_state state;

/*
 * The address of every socket, as the data path keeps it from its callbacks. Run once by the rig:
 * no iterator of sockmaps, which a hardened kernel may refuse.
 */
SEC("tc")
int st_learn(struct __sk_buff *skb)
{
	for (__u32 slot = 0; slot < SL_ST_N; slot++) {
		__u32 key = slot; /* what is on the stack has no bounds */
		struct bpf_sock *sk = bpf_map_lookup_elem(&sockets, &key);

		if (!sk)
			continue;
		state.sk[slot] = (__u64)bpf_skc_to_tcp_sock(sk);
		bpf_sk_release(sk);
	}
	return 0;
}

/* The rules of request.bpf.c: redirect only what overtakes nothing and finds room. */
SL_FN bool msg_may_leave(struct sl_st_state *s, __u32 size)
{
	if (!(s->planted & SL_ST_NO_ORDER)) {
		if (s->held || !all_read(s->sk[SL_ST_CLIENT], s->sk[SL_ST_FRONT]))
			return false;
		if (s->door == SL_ST_INGRESS &&
		    !all_arrived(s->sk[SL_ST_SERVER], s->sk[SL_ST_BACK]))
			return false;
	}
	if (s->door == SL_ST_INGRESS)
		return s->server_backlog <= s->limit || (s->planted & SL_ST_NO_BACKLOG);
	return writer_has_room(s->sk[SL_ST_BACK], size) || (s->planted & SL_ST_NO_ROOM);
}

SL_FN bool msg_redirect(struct sk_msg_md *msg, struct sl_st_state *s)
{
	if (s->door == SL_ST_INGRESS)
		return bpf_msg_redirect_map(msg, &apps, SL_ST_SERVER, BPF_F_INGRESS) == SK_PASS;
	return bpf_msg_redirect_map(msg, &sockets, SL_ST_BACK, 0) == SK_PASS;
}

SL_FN void msg_probe(struct sl_st_state *s)
{
	const __u64 *sk = s->sk;
	const __u64 mask = s->planted & SL_ST_WRONG_SOCK ? 0 : ~0ull;

	s->client_write_seq = tcp_of(sk[SL_ST_CLIENT] & mask)->write_seq;
	s->front_copied_seq = tcp_of(sk[SL_ST_FRONT] & mask)->copied_seq;
	s->back_write_seq = tcp_of(sk[SL_ST_BACK] & mask)->write_seq;
	s->server_rcv_nxt = tcp_of(sk[SL_ST_SERVER] & mask)->rcv_nxt;
	s->server_backlog =
		reader_backlog(s->planted & SL_ST_WRONG_BACKLOG ? 0 : s->sk[SL_ST_SERVER]);
	if (s->server_backlog > s->max_backlog)
		s->max_backlog = s->server_backlog;
	s->plain = sender_is_plain() || (s->planted & SL_ST_NO_FLAGS);
}

static long answer_step(__u32 i, void *arg)
{
	const __u64 word = SL_ST_ANSWER * 0x0101010101010101ull;
	struct sk_msg_md *msg = *(struct sk_msg_md **)arg;
	__u32 size = msg->size, off = i * 8;

	if (size < 8 || off >= size)
		return 1;
	return !msg_put(msg, off + 8 > size ? size - 8 : off, word);
}

/* The rules of canned.bpf.h. False: it is passed. */
SL_FN bool msg_answer(struct sk_msg_md *msg, struct sl_st_state *s, __u32 size)
{
	if (!msg_is_whole(msg, size) &&
	    (size > SL_INPLACE_MAX || bpf_msg_pull_data(msg, 0, size, 0) ||
	     !msg_is_whole(msg, size)))
		return false;
	if (bpf_msg_redirect_map(msg, &apps, SL_ST_CLIENT, BPF_F_INGRESS) != SK_PASS)
		return false;
	if (!(s->planted & SL_ST_NO_WRITE))
		bpf_loop(SL_INPLACE_MAX / 8, answer_step, &msg, 0);
	return true;
}

SEC("sk_msg")
int st_msg(struct sk_msg_md *msg)
{
	struct sl_st_state *s = &state;
	__u32 size = msg->size;

	if (s->door == SL_ST_SELF && msg_answer(msg, s, size))
		return SK_PASS;
	msg_probe(s);
	if (s->door != SL_ST_PASS && s->door != SL_ST_SELF && msg_may_leave(s, size) &&
	    msg_redirect(msg, s))
		s->msg_redirected += size;
	else
		s->msg_passed += size;
	return SK_PASS;
}

/* The verdict of an application's socket. */
SEC("sk_skb")
int st_pass(struct __sk_buff *skb)
{
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
