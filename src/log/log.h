/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Logs: the server's own, the access log, the models' output and metrics, in TorchServe's places
 * and line formats: `2026-11-24T12:00:00,123 [INFO ] thread LOGGER - text` on the console and in
 * the server's and the models' log, `2026-11-24T12:00:00,123 - text` in the others. Lines are put
 * into a bounded buffer and written by a thread of the log's own, so a full pipe or a slow disk
 * never blocks a request; lines that do not fit are counted and reported, not waited for. Any
 * thread.
 *
 * One call is one line: control bytes in it are escaped, whoever they come from, and what is too
 * long (16 KiB, a request's target 8 KiB, what a handler prints 1 MiB) is cut and ends in "...".
 *
 * The log is the one piece of global state: everybody may log.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_file {
	LOG_SERVER,         /* ts_log.log */
	LOG_ACCESS,         /* access_log.log */
	LOG_MODEL,          /* model_log.log: output of workers */
	LOG_SERVER_METRICS, /* ts_metrics.log */
	LOG_MODEL_METRICS,  /* model_metrics.log */
	LOG_FILES,
};

struct log_config {
	const char *location;         /* folder of the files; NULL: no files */
	const char *metrics_location; /* NULL: as location */
	enum log_level level;         /* of LOG_SERVER and LOG_MODEL; the others have switches */
	bool console;                 /* also to stdout */
	bool access;                  /* false: no access lines at all */
	bool json;                    /* every line an object, see json_line.h; implies: */
	bool request_ids;      /* access lines end with the ids of the request and its trace */
	uint64_t rotate_bytes; /* 100 MB */
	unsigned rotate_keep;  /* 5 */
	unsigned gather_ms;    /* see log_commit(); 0: 20 */
};

/* Before it, and in programs that never call it, lines go to stderr at once. Makes the folders,
 * starts the writer, opens the files. On failure warns, returns -errno, and
 * logging goes on to the console. `c` need not outlive the call. */
int log_start(const struct log_config *c);
/* Writes what is buffered, ends the writer; lines go to stderr again. Not at once with itself,
 * log_start() or log_flush(). */
void log_stop(void);
void log_reopen(void); /* SIGHUP: async-signal-safe it is not; call from the loop */

bool log_enabled(enum log_level level);
/* `logger` is the class name in the line ("org.pytorch.serve.ModelServer" in TorchServe; here a
 * module's name, "sconce.fleet"). `thread` names the loop or worker stream; NULL: "main". */
void log_line(enum log_file file, enum log_level level, const char *thread, const char *logger,
	      const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void log_text(enum log_file file, enum log_level level, const char *thread, const char *logger,
	      struct slice text);
/* A request that a line is about, and where it is in a trace: in hexadecimal; "": in none. */
struct log_subject {
	const char *request_id;
	char trace[33], span[17];
};

/* The same about a request: with log_format=json it is the record's request_id, trace_id and
 * span_id, too. */
void log_about(enum log_file file, enum log_level level, const char *thread, const char *logger,
	       const struct log_subject *about, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
/* What a worker printed. With log_format=json, and only then, LINE_BREAK in it is a line break of
 * the message, and what stands behind LINE_ID are ids of requests: tracebacks are one record. */
void log_output(enum log_level level, const char *thread, const char *logger, struct slice text);
/* Several lines for the model log; with log_format=json one record. */
void log_lines(enum log_level level, const char *thread, const char *logger, struct slice text);
/* The access line: `/127.0.0.1:4711 "GET /ping HTTP/1.1" 200 0`, and with `request_ids` the ids of
 * the request and its trace. Its own function, because it is on the hot path and must not use
 * printf. `peer` as exchange_peer() gives it. */
void log_access(const char *peer, struct slice method, struct slice target, unsigned minor,
		int status, uint64_t duration_ms, const struct log_subject *about);

/* What was logged so far belongs together: wakes the writer. The loop does this at the end of each
 * turn, before answers go out: their lines are being written when their clients get them. A busy
 * server pays no wake-up for each turn: after 32 in a row the writer gathers for `gather_ms`
 * between any two, and has saved up for as many again after a quiet 32 times that. Costs a lock.
 * Where nobody ever does this, lines are written `gather_ms` after the first. */
void log_commit(void);
/* Blocks until everything logged so far was written or given up (tests, fatal exits). */
void log_flush(void);
/* Lines since the start that missed a destination: buffer full, disk full, console stalled. A
 * console that has gone (its pipe is closed) is switched off and misses nothing more. */
uint64_t log_dropped(void);

#define log_error(...) log_line(LOG_SERVER, LOG_ERROR, NULL, "sconce", __VA_ARGS__)
#define log_warn(...) log_line(LOG_SERVER, LOG_WARN, NULL, "sconce", __VA_ARGS__)
#define log_info(...) log_line(LOG_SERVER, LOG_INFO, NULL, "sconce", __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_DEBUG))                                                        \
			log_line(LOG_SERVER, LOG_DEBUG, NULL, "sconce", __VA_ARGS__);              \
	} while (0)
