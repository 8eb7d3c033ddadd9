/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/file.h"
#include "base/mem.h"
#include "child/output.h"
#include "log/line.h"
#include "log/log.h"

#define BEFORE "MODEL_LOG - "

static char dir[] = "/tmp/sconce-output-XXXXXX";
static struct output o;
static int peer;

static void nothing(uv_timer_t *t)
{
	(void)t;
}

/* Writes as a worker does: the pipe is read meanwhile. */
static void print(struct slice text)
{
	uv_timer_t tick;

	uv_timer_init(uv_default_loop(), &tick);
	while (text.n) {
		size_t n = MIN(text.n, (size_t)4096);

		assert_int_equal(write(peer, text.p, n), n);
		text = slice_make(text.p + n, text.n - n);
		uv_timer_start(&tick, nothing, 0, 0);
		uv_run(uv_default_loop(), UV_RUN_ONCE);
	}
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(uv_default_loop(), UV_RUN_NOWAIT);
}

static void begin(void)
{
	struct log_config c = { .location = dir, .level = LOG_INFO };

	assert_int_equal(log_start(&c), 0);
	assert_int_equal(output_open(&o, uv_default_loop(), "W-1", false, &peer), 0);
}

/* The texts of the lines, a newline after each. */
static char *end(void)
{
	_cleanup_(freep) char *path = mem_printf("%s/model_log.log", dir);
	_cleanup_(buf_finish) struct buf text = BUF_INIT((size_t)8 << 20);
	struct buf lines = BUF_INIT((size_t)8 << 20);
	struct slice rest;

	close(peer);
	output_drain(&o);
	uv_run(uv_default_loop(), UV_RUN_NOWAIT);
	log_stop();
	assert_int_equal(file_read(path, &text), 0);
	rest = buf_slice(&text);
	while (rest.n) {
		struct slice line = slice_cut(&rest, '\n');
		const char *at = memmem(line.p, line.n, BEFORE, strlen(BEFORE));

		assert_non_null(at);
		at += strlen(BEFORE);
		buf_append(&lines, at, (size_t)(line.p + line.n - at));
		buf_putc(&lines, '\n');
	}
	unlink(path);
	return buf_steal(&lines);
}

static void lines_end_as_they_do_on_a_terminal(void **state)
{
	static const struct {
		const char *printed, *want;
	} rows[] = {
		{ "one\ntwo\n", "one\ntwo\n" },
		{ "one\r\ntwo\r\r\n\r\nthree", "one\ntwo\n\nthree\n" },
		{ "\n\n", "\n\n" },
		{ "\r 10%|#  |\r 20%|## |\r100%|###|\ndone\n",
		  " 10%|#  |\n 20%|## |\n100%|###|\ndone\n" },
		{ "a\r", "a\n" },
		{ "\r\r\r", "" },
		{ "caf\xe9\n", "caf\xef\xbf\xbd\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (unsigned bytewise = 0; bytewise < 2; bytewise++) {
			_cleanup_(freep) char *got = NULL;
			size_t n = strlen(rows[i].printed);

			begin();
			for (size_t k = 0; bytewise && k < n; k++)
				print(slice_make(rows[i].printed + k, 1));
			if (!bytewise)
				print(slice_make(rows[i].printed, n));
			got = end();
			assert_string_equal(got, rows[i].want);
		}
}

/* Anybody's newlines, of an input that a handler prints: other models wait meanwhile. */
static void very_many_lines_take_several_turns(void **state)
{
	static char newlines[65536];
	int left = 0;

	(void)state;
	begin();
	memset(newlines, '\n', sizeof(newlines));
	assert_int_equal(write(peer, newlines, sizeof(newlines)), sizeof(newlines));
	uv_run(uv_default_loop(), UV_RUN_NOWAIT);
	assert_int_equal(ioctl(o.fd, FIONREAD, &left), 0);
	assert_int_equal(left, sizeof(newlines) - 4096);
	free(end());
}

/* Seen without waiting for a newline, which a bar that moves does not print. */
static void progress_shows_at_once(void **state)
{
	(void)state;
	begin();
	print(SLICE("\r 10%\r 2"));
	assert_int_equal(o.line.n, 2);
	free(end());
}

static void long_lines_stay_one(void **state)
{
	const size_t long_n = 300000, longer = OUTPUT_LINE_MAX + 100000;
	_cleanup_(freep) char *text = mem_alloc(longer + 8);
	_cleanup_(freep) char *got = NULL;

	(void)state;
	memset(text, 'x', longer);
	begin();
	memcpy(text + longer, "\nafter\n", 7);
	print(slice_make(text + longer - long_n, long_n + 7));
	print(slice_make(text, longer + 7));
	assert_true(o.line.room < 100000);
	got = end();
	assert_int_equal(strcspn(got, "\n"), long_n);
	assert_memory_equal(got + long_n, "\nafter\n", 7);
	assert_int_equal(strcspn(got + long_n + 7, "\n"), LINE_LONG_MAX);
	assert_string_equal(got + long_n + 7 + LINE_LONG_MAX - 4, "x...\nafter\n");
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	uv_loop_close(uv_default_loop());
	return file_remove_tree(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_end_as_they_do_on_a_terminal),
		cmocka_unit_test(very_many_lines_take_several_turns),
		cmocka_unit_test(progress_shows_at_once),
		cmocka_unit_test(long_lines_stay_one),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
