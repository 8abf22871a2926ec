// SPDX-License-Identifier: GPL-2.0-only
#include "demo/service.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int sl_demo_listen(__u16 port)
{
	const struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd, one = 1, err;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1024)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* "/service/" and digits, whatever follows after a slash. */
static bool is_service_path(const char *path)
{
	static const char prefix[] = "/service/";

	if (strncmp(path, prefix, sizeof(prefix) - 1) != 0)
		return false;
	path += sizeof(prefix) - 1;
	if (!isdigit((unsigned char)*path))
		return false;
	while (isdigit((unsigned char)*path))
		path++;
	return !*path || *path == '/';
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned int status,
				 const char *name, char *text, int len)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	if (len < 0)
		return MHD_NO;
	response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
	MHD_add_response_header(response, "x-service", name);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* libmicrohttpd calls it for the head, for each piece of the body, and at the end. */
static enum MHD_Result answer(void *service, struct MHD_Connection *connection, const char *path,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **seen_head)
{
	static char marker;
	char *text = NULL;
	int len;

	(void)method;
	(void)version;
	(void)upload;
	if (!*seen_head) {
		*seen_head = &marker;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	if (!is_service_path(path)) {
		len = asprintf(&text, "%s serves /service/N only\n", (const char *)service);
		return send_text(connection, MHD_HTTP_NOT_FOUND, service, text, len);
	}
	len = asprintf(&text, "Hello from behind sluice (%s)! path: %s\n", (const char *)service,
		       path);
	return send_text(connection, MHD_HTTP_OK, service, text, len);
}

int sl_demo_serve(const char *name, int listen_fd, const sigset_t *stop)
{
	struct MHD_Daemon *daemon;
	int signal;

	daemon =
		MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, (void *)name,
				 MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_END);
	if (!daemon) {
		close(listen_fd);
		return -EIO;
	}
	sigwait(stop, &signal);
	MHD_stop_daemon(daemon);
	return 0;
}
