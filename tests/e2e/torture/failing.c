/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Preloaded into a daemon: while there is a file FAILING_WHILE, one in FAILING_ONE of its own calls
 * below fails as the kernel lets it fail when memory, descriptors or ports are short, or is
 * interrupted. Not those of the libraries that it uses, and never with EAGAIN where an event
 * would have to follow. FAILING_ONLY: a list of names, as "malloc,recv".
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What stands behind these names in the C library. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static uintptr_t text, text_end; /* of the program */
static uint32_t one_in;		 /* 0: none fails */
static const char *only, *while_there;

/* The first object is the program. */
static int find_text(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size, (void)unused;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && (p->p_flags & PF_X)) {
			text = info->dlpi_addr + p->p_vaddr;
			text_end = text + p->p_memsz;
		}
	}
	return 1;
}

__attribute__((constructor)) static void begin(void)
{
	const char *one = getenv("FAILING_ONE");

	dl_iterate_phdr(find_text, NULL);
	only = getenv("FAILING_ONLY");
	while_there = getenv("FAILING_WHILE");
	one_in = !while_there ? 0 : one ? atoi(one) : 100;
}

static uint32_t dice(void)
{
	static __thread uint32_t random; /* xorshift32 */

	struct timespec now;

	if (!random) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		random = (now.tv_nsec ^ (uint32_t)(uintptr_t)&random) | 1;
	}
	random ^= random << 13;
	random ^= random >> 17;
	random ^= random << 5;
	return random;
}

static bool is_listed(const char *name)
{
	size_t len = strlen(name);

	for (const char *p = only; p && (p = strstr(p, name)); p++)
		if ((p == only || p[-1] == ',') && (p[len] == ',' || !p[len]))
			return true;
	return !only;
}

static bool fails(const char *name, const void *caller)
{
	if (!one_in || (uintptr_t)caller < text || (uintptr_t)caller >= text_end || dice() % one_in)
		return false;
	return is_listed(name) && !access(while_there, F_OK);
}

/* The errno of one of its failures. */
static int fault(const int *errors, size_t n)
{
	return errors[dice() % n];
}

#define FAULT(...) fault((const int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

/* Defines @type @name @params, which fails as @errors say by returning -1, or else is itself. */
#define FAILING(type, name, params, args, ...)                     \
	type name params;                                          \
	type name params                                           \
	{                                                          \
		static type(*real) params;                         \
                                                                   \
		if (!real)                                         \
			*(void **)&real = dlsym(RTLD_NEXT, #name); \
		if (fails(#name, __builtin_return_address(0))) {   \
			errno = FAULT(__VA_ARGS__);                \
			return -1;                                 \
		}                                                  \
		return real args;                                  \
	}

FAILING(ssize_t, send, (int fd, const void *buf, size_t len, int flags), (fd, buf, len, flags),
	ENOBUFS, ENOMEM, EINTR)
FAILING(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags), ENOBUFS,
	ENOMEM, EINTR)
FAILING(ssize_t, recv, (int fd, void *buf, size_t len, int flags), (fd, buf, len, flags), ENOMEM,
	EINTR)
FAILING(ssize_t, splice,
	(int in, off64_t *in_off, int out, off64_t *out_off, size_t len, unsigned int flags),
	(in, in_off, out, out_off, len, flags), ENOMEM, EINTR)
FAILING(int, epoll_wait, (int fd, struct epoll_event *events, int n, int ms), (fd, events, n, ms),
	EINTR)
FAILING(int, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags),
	(fd, addr, len, flags), EMFILE, ENFILE, ENOMEM, ENOBUFS, ECONNABORTED, EINTR, EPERM)
FAILING(int, socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE, ENFILE,
	ENOMEM, ENOBUFS)
FAILING(int, connect, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len),
	EADDRNOTAVAIL, ENOMEM, ENETUNREACH, ECONNREFUSED)
FAILING(int, pipe2, (int fds[2], int flags), (fds, flags), EMFILE, ENFILE)
FAILING(int, bpf_map_update_elem, (int fd, const void *key, const void *value, uint64_t flags),
	(fd, key, value, flags), ENOMEM, EBUSY, E2BIG)
FAILING(int, bpf_map_lookup_elem, (int fd, const void *key, void *value), (fd, key, value), ENOMEM)

int epoll_ctl(int fd, int op, int of, struct epoll_event *event)
{
	static int (*real)(int fd, int op, int of, struct epoll_event *event);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "epoll_ctl");
	if (op == EPOLL_CTL_ADD && fails("epoll_ctl", __builtin_return_address(0))) {
		errno = FAULT(ENOMEM, ENOSPC);
		return -1;
	}
	return real(fd, op, of, event);
}

#define FAILING_MEMORY(name, params, args)                       \
	void *name params                                        \
	{                                                        \
		if (fails(#name, __builtin_return_address(0))) { \
			errno = ENOMEM;                          \
			return NULL;                             \
		}                                                \
		return __libc_##name args;                       \
	}

FAILING_MEMORY(malloc, (size_t size), (size))
FAILING_MEMORY(calloc, (size_t n, size_t size), (n, size))
FAILING_MEMORY(realloc, (void *p, size_t size), (p, size))
