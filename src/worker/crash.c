/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/crash.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "worker/session.h"

#define CRASH_TEXT_MAX 1024
#define CRASH_STACK ((size_t)65536)

static const struct crash_kind {
	int signal;
	const char *text;
} crash_kinds[] = {
	{ SIGSEGV, "signal 11, Segmentation fault" },
	{ SIGFPE, "signal 8, Floating point exception" },
	{ SIGILL, "signal 4, Illegal instruction" },
	{ SIGABRT, "signal 6, Aborted" },
	{ SIGBUS, "signal 7, Bus error" },
};

static const struct session *crash_session;
static struct sigaction crash_before[ARRAY_LEN(crash_kinds)];
static char crash_stack[CRASH_STACK];

/* Nothing is allocated in a handler, and names of engines need no escape. */
static size_t crash_text(char *to, const char *engine, const char *kind)
{
	const char *const parts[] = {
		"{\"traceback\":\"\",\"message\":\"the engine ",
		engine,
		" crashed while it loaded the model (",
		kind,
		"): its file may be broken, or the engine's runtime does not work on this "
		"machine; another version of the runtime may, or another engine: `engine: {name: "
		"...}` in model-config.yaml\"}",
	};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t part = MIN(strlen(parts[i]), CRASH_TEXT_MAX - n);

		memcpy(to + n, parts[i], part);
		n += part;
	}
	return n;
}

static void crash_tell(const struct session *s, const char *kind)
{
	const struct sconce_engine *t = s->model.plugin.table;
	char text[CRASH_TEXT_MAX], packet[2 * CRASH_TEXT_MAX];
	struct frame_writer fw;
	struct slice frame;

	frame_begin(&fw, packet, sizeof(packet), FRAME_LOADED, 500);
	frame_put_bytes(&fw, slice_make(text, crash_text(text, t ? t->name : "itself", kind)));
	frame = frame_end(&fw);
	/* The process is lost; whether this is heard changes nothing of it. */
	(void)!send(s->fd, frame.p, frame.n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Returning, an instruction that has crashed does so again, as it would have without us; what was
 * sent is sent again. */
static void crash_handler(int signal, siginfo_t *info, void *context)
{
	const struct session *s = crash_session;

	(void)context;
	crash_session = NULL;
	for (size_t i = 0; i < ARRAY_LEN(crash_kinds); i++) {
		sigaction(crash_kinds[i].signal, &crash_before[i], NULL);
		if (s && crash_kinds[i].signal == signal)
			crash_tell(s, crash_kinds[i].text);
	}
	if (info->si_code <= 0)
		raise(signal);
}

void crash_watch(const struct session *s)
{
	struct sigaction a = { .sa_sigaction = crash_handler, .sa_flags = SA_ONSTACK | SA_SIGINFO };
	stack_t stack = { .ss_sp = crash_stack, .ss_size = sizeof(crash_stack) };

	sigaltstack(&stack, NULL);
	crash_session = s;
	for (size_t i = 0; i < ARRAY_LEN(crash_kinds); i++)
		sigaction(crash_kinds[i].signal, &a, &crash_before[i]);
}

void crash_unwatch(void)
{
	const stack_t none = { .ss_flags = SS_DISABLE };

	for (size_t i = 0; i < ARRAY_LEN(crash_kinds); i++)
		sigaction(crash_kinds[i].signal, &crash_before[i], NULL);
	crash_session = NULL;
	sigaltstack(&none, NULL);
}
