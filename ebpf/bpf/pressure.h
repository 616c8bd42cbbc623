/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Cookies under pressure. The lane decides when it is: by the new connections that are counted here,
 * and by those of its own that are half open.
 */
#ifndef RINGROAD_PRESSURE_H
#define RINGROAD_PRESSURE_H

#include "maps.h"

/* `socket`: port index * QUEUES_MAX + receive queue. One CPU at a time serves a queue. */
static __always_inline void count_new_connection(struct control *control, __u32 socket)
{
	struct intake *intake;

	if (socket >= SOCKETS_MAX)
		return;
	intake = &control->intakes[socket];
	write_once(intake->new_connections, intake->new_connections + 1);
}

/* Whether new connections to the service are answered now. */
static __always_inline int answers_now(const struct cookie_service *service,
				       const struct heartbeat *heartbeat)
{
	__u8 mode = read_once(service->mode);

	return mode == COOKIES_ALWAYS ||
	       (mode == COOKIES_UNDER_PRESSURE && read_once(heartbeat->pressure));
}

#endif
