// SPDX-License-Identifier: GPL-2.0-only
#include "daemon/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct address address_of(int fd, bool peer)
{
	struct sockaddr_in6 a6 = {0};
	struct sockaddr_in *a4 = (struct sockaddr_in *)&a6;
	socklen_t len = sizeof(a6);
	struct address a = {0};

	if (peer ? getpeername(fd, (struct sockaddr *)&a6, &len)
		 : getsockname(fd, (struct sockaddr *)&a6, &len))
		return a;
	if (a6.sin6_family == AF_INET) {
		memcpy(a.addr, &a4->sin_addr, 4);
		a.family = AF_INET;
		a.port = ntohs(a4->sin_port);
	} else if (a6.sin6_family == AF_INET6) {
		bool mapped = IN6_IS_ADDR_V4MAPPED(&a6.sin6_addr);

		memcpy(a.addr, a6.sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
		a.family = mapped ? AF_INET : AF_INET6;
		a.port = ntohs(a6.sin6_port);
	}
	return a;
}

void address_text(const struct address *a, bool port, char ret[ADDRESS_TEXT])
{
	char ip[INET6_ADDRSTRLEN];

	ret[0] = '\0';
	if (!a->family || !inet_ntop(a->family, a->addr, ip, sizeof(ip)))
		return;
	if (!port)
		snprintf(ret, ADDRESS_TEXT, "%s", ip);
	else
		snprintf(ret, ADDRESS_TEXT, a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip,
			 a->port);
}

static struct address parse(struct text t)
{
	char word[INET6_ADDRSTRLEN];
	struct address a = {0};

	while (t.len && (*t.s == ' ' || *t.s == '\t'))
		t.s++, t.len--;
	while (t.len && (t.s[t.len - 1] == ' ' || t.s[t.len - 1] == '\t'))
		t.len--;
	if (t.len >= sizeof(word))
		return a;
	memcpy(word, t.s, t.len);
	word[t.len] = '\0';
	if (inet_pton(AF_INET, word, a.addr) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, word, a.addr) == 1)
		a.family = AF_INET6;
	return a;
}

struct address address_forwarded(struct lines *request, __u32 skip)
{
	/* From the last line to the first, from the last address of each to the first. */
	for (__u32 i = request->n; i-- > 0;) {
		struct text value = request->line[i].value;
		__u32 end = value.len;

		if (!text_is(request->line[i].name, "x-forwarded-for"))
			continue;
		for (;;) {
			const char *comma = memrchr(value.s, ',', end);
			__u32 from = comma ? comma + 1 - value.s : 0;

			if (!skip--)
				return parse((struct text){value.s + from, end - from});
			if (!comma)
				break;
			end = from - 1;
		}
	}
	return (struct address){0};
}
