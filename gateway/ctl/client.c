/* The tool's end of the admin socket.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/admin.h"
#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/wire/frame.h"

#define REPLY_WAIT_S 60

int ctl_fail(int code, const char *what, const char *why, const char *next)
{
	char text[1024];

	fprintf(stderr, "gatehouse: %s\n", log_escape(what, text, sizeof(text)));
	if (why && *why)
		fprintf(stderr, "  because: %s\n", log_escape(why, text, sizeof(text)));
	if (next)
		fprintf(stderr, "  next:    %s\n", log_escape(next, text, sizeof(text)));
	return code;
}

int ctl_parse_id(const char *text, int64_t *id)
{
	char *end;

	errno = 0;
	*id = strtoll(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || *id == 0)
		return ctl_fail(CTL_USAGE, text, "that is not a request number", "gatehouse pending");
	return 0;
}

int ctl_parse_time(const char *text, int64_t *seconds)
{
	if (clock_parse_s(text, seconds))
		return ctl_fail(CTL_USAGE, text, "a time is written 2026-12-31T00:00:00Z", NULL);
	return CTL_DONE;
}

int ctl_parse_duration(const char *text, int64_t *seconds)
{
	static const struct {
		char letter;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 } };
	size_t digits = strspn(text, "0123456789");

	for (size_t i = 0; digits && digits < 10 && i < sizeof(units) / sizeof(*units); i++)
		if (text[digits] == units[i].letter && !text[digits + 1]) {
			*seconds = strtoll(text, NULL, 10) * units[i].seconds;
			if (*seconds > 0)
				return CTL_DONE;
		}
	return ctl_fail(CTL_USAGE, text, "a duration is a number with s, m, h, d or w behind it: 90s, 30d", NULL);
}

int ctl_parse_serial(const char *text, uint8_t serial[static CTL_SERIAL_MAX], size_t *n)
{
	*n = strlen(text) / 2;
	if (*n > 0 && *n <= CTL_SERIAL_MAX && hex_parse(text, serial, *n) == 0)
		return CTL_DONE;
	return ctl_fail(CTL_USAGE, text, "a serial is written as 2 to 40 hexadecimal digits", "gatehouse cert list");
}

static int connect_to_core(struct ctl *ctl)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval wait = { REPLY_WAIT_S, 0 };
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s", ctl->socket_path);
	char what[256];

	snprintf(what, sizeof(what), "cannot reach the core at %.200s", ctl->socket_path);
	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return ctl_fail(-1, what, "the path is too long for a socket", "name another with --socket");
	ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ctl->fd < 0 || connect(ctl->fd, (const struct sockaddr *)&address, sizeof(address)))
		return ctl_fail(-1, what, strerror(errno),
				"start gatehoused, or name its admin socket with --socket or GATEHOUSE_SOCKET");
	setsockopt(ctl->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return 0;
}

Gatehouse__Admin__Reply *ctl_call(struct ctl *ctl, const Gatehouse__Admin__Call *call)
{
	OWNED_BUF message = BUF_INIT(FRAME_MAX);
	size_t n = gatehouse__admin__call__get_packed_size(call);
	uint8_t *room = buf_room(&message, n);
	Gatehouse__Admin__Reply *reply = NULL;
	int e;

	if (ctl->fd < 0 && connect_to_core(ctl))
		return NULL;
	if (!room)
		return NULL;
	buf_added(&message, gatehouse__admin__call__pack(call, room));
	e = frame_write(ctl->fd, buf_bytes(&message));
	if (!e)
		e = frame_read(ctl->fd, &message);
	if (!e)
		reply = gatehouse__admin__reply__unpack(NULL, message.len, message.ptr);
	if (!reply)
		ctl_fail(0, "the core did not answer", e ? strerror(-e) : "its reply cannot be read",
			 "look at the log of gatehoused");
	return reply;
}

void ctl_reply_drop(Gatehouse__Admin__Reply **reply)
{
	gatehouse__admin__reply__free_unpacked(*reply, NULL);
	*reply = NULL;
}

static const struct {
	uint32_t outcome;
	int code;
	const char *next;
} outcomes[] = {
	{ CA_ADMIN_NOT_FOUND, CTL_NOT_FOUND, NULL },
	{ CA_ADMIN_BAD_STATE, CTL_WRONG_STATE, "gatehouse show ID --timeline" },
	{ CA_ADMIN_CHANGED, CTL_WRONG_STATE, "gatehouse show ID, and approve what it shows now" },
	{ CA_ADMIN_NOT_PERMITTED, CTL_NOT_PERMITTED, "gatehouse status says who the core takes you for" },
	{ CA_ADMIN_RESTRICTED, CTL_NOT_PERMITTED, "ask an officer of that profile" },
	{ CA_ADMIN_FORBIDDEN, CTL_DENIED, "gatehouse profile show PROFILE says what officers may change" },
	{ CA_ADMIN_INVALID, CTL_USAGE, NULL },
	{ CA_ADMIN_EXISTS, CTL_WRONG_STATE, "gatehouse cert list" },
	{ CA_ADMIN_NO_MATCH, CTL_NOT_FOUND, "gatehouse pending" },
	{ CA_ADMIN_LATER, CTL_PENDING, "gatehouse show ID --timeline" },
	{ CA_ADMIN_NO_ANSWER, CTL_FAILED, "gatehouse show ID --timeline, then try again" },
};

/* What to type next; NULL: nothing is known to help. */
static const char *next_of(const struct ctl *ctl, uint32_t outcome, const char *next)
{
	const struct noun_row *noun = noun_find(ctl->command->noun);

	return outcome == CA_ADMIN_NOT_FOUND && noun ? noun->known : next;
}

int ctl_outcome(const struct ctl *ctl, const Gatehouse__Admin__Reply *reply, const char *what)
{
	char failed[256];

	if (reply->outcome == 0)
		return CTL_DONE;
	snprintf(failed, sizeof(failed), "cannot %s", what);
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(*outcomes); i++)
		if (outcomes[i].outcome == reply->outcome)
			return ctl_fail(outcomes[i].code, failed, reply->reason,
					next_of(ctl, reply->outcome, outcomes[i].next));
	return ctl_fail(CTL_FAILED, failed, reply->outcome > 100 ? strerror((int)reply->outcome - 100) : reply->reason,
			"look at the log of gatehoused");
}
