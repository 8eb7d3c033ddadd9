/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "worker/pillow.h"

/* What stands in for Python is a script: its standard input is the socket. */
#define HELLO "head -c 40 /dev/zero >&0\n"
#define ASKED "head -c 24 >/dev/null\n" /* and as many bytes as the picture has */
#define U32(a) "\\" #a "\\0\\0\\0"
#define NONE U32(0)
#define HEAD(status, mode, width, height, flags, bytes)                                            \
	"printf '" U32(status) U32(mode) U32(width) U32(height) U32(1) U32(flags) NONE NONE U32(   \
		bytes) NONE "' >&0\n"
/* RGB, 2 × 1 */
#define PICTURE HEAD(0, 5, 2, 1, 0, 6) "printf 'abcdef' >&0\n"

static struct pillow pillow;
static struct image image;
static struct sconce_error e;
static char folder[] = "/tmp/test-pillow-XXXXXX", script[sizeof(folder) + 16];

static void is(const char *text)
{
	FILE *f = fopen(script, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\necho x >>%s/starts\n%s", folder, text);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(script, 0700), 0);
	pillow_init(&pillow, script);
}

static unsigned starts(void)
{
	_cleanup_(freep) char *path = mem_printf("%s/starts", folder);
	struct stat st;

	return stat(path, &st) ? 0 : (unsigned)st.st_size / 2;
}

static int decodes(const char *bytes)
{
	uint8_t orientation;

	image_free(&image);
	image = (struct image){ 0 };
	return pillow.decoder.decode(&pillow.decoder, slice_str(bytes), IMAGE_MODES, 100, &image,
				     &orientation, &e);
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(script, sizeof(script), "%s/python", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pillow_finish(&pillow);
	image_free(&image);
	image = (struct image){ 0 };
	file_remove_tree(folder);
	memcpy(strrchr(folder, '-'), "-XXXXXX", sizeof("-XXXXXX"));
	return 0;
}

static void pictures_come_from_one_process(void **state)
{
	(void)state;
	is(HELLO "while head -c 25 | grep -q .; do " PICTURE "done\n");
	assert_int_equal(starts(), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(decodes("x"), 0);
		assert_int_equal(image.mode, IMAGE_RGB);
		assert_int_equal(image.width, 2);
		assert_memory_equal(image.pixels, "abc\377def\377", 8);
	}
	assert_int_equal(starts(), 1);
}

static void it_says_what_is_wrong_with_a_picture(void **state)
{
	(void)state;
	is(HELLO ASKED HEAD(1, 0, 0, 0, 0, 5) "printf sorry >&0\ncat\n");
	assert_int_equal(decodes(""), SCONCE_BAD_INPUT);
	assert_string_equal(e.text, "sorry");
}

static void there_may_be_no_memory(void **state)
{
	(void)state;
	is(HELLO ASKED HEAD(2, 0, 0, 0, 0, 0) "cat\n");
	assert_int_equal(decodes(""), SCONCE_NO_MEMORY);
}

static void one_that_ends_is_replaced(void **state)
{
	(void)state;
	is(HELLO ASKED "[ $(wc -l <$0.once) ] 2>/dev/null && " PICTURE "echo >$0.once\n");
	assert_int_equal(decodes(""), -1);
	assert_string_equal(e.text, "what reads such pictures ended, or took too long");
	assert_int_equal(decodes(""), 0);
}

static void but_not_for_ever(void **state)
{
	unsigned began;

	(void)state;
	is(HELLO ASKED);
	for (int i = 0; i < 20; i++)
		assert_int_equal(decodes(""), -1);
	began = starts();
	assert_int_equal(began, 8);
	assert_non_null(strstr(e.text, "8 times within a minute"));
	/* A minute later. */
	pillow.since_ns -= 61 * NS_PER_S;
	assert_int_equal(decodes(""), -1);
	assert_int_equal(starts(), 9);
}

static void one_that_hangs_is_ended(void **state)
{
	pid_t pid;

	(void)state;
	is(HELLO "cat >/dev/null\n");
	pillow.limit_ns = 2 * NS_PER_S;
	assert_int_equal(decodes("x"), -1);
	assert_string_equal(e.text, "what reads such pictures ended, or took too long");
	pid = pillow.pid;
	assert_int_equal(pid, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void nonsense(void **state)
{
	static const char *const said[] = {
		"head -c 40 /dev/urandom >&0\n",
		HEAD(7, 0, 0, 0, 0, 0),
		HEAD(0, 5, 2, 1, 0, 7) "printf abcdefg >&0\n", /* a byte too many */
		HEAD(0, 77, 2, 1, 0, 6),
		HEAD(0, 5, 0, 1, 0, 0),
		HEAD(0, 5, 15, 15, 0, 6), /* 169 pixels */
		HEAD(0, 2, 2, 1, 0, 2),   /* a palette is missing */
		HEAD(1, 0, 0, 0, 0, 377), /* words that do not come */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		_cleanup_(freep) char *text = mem_printf(HELLO ASKED "%s", said[i]);

		is(text);
		if (decodes("") != -1)
			fail_msg("%zu", i);
		assert_int_equal(pillow.pid, 0);
		pillow_finish(&pillow);
	}
}

static void what_is_missing_is_not_looked_for_each_time(void **state)
{
	(void)state;
	is("printf '" U32(3) NONE NONE NONE NONE NONE NONE NONE U32(4) NONE "none' >&0\n");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(decodes("x"), PIPELINE_LACKS);
		assert_string_equal(e.text, "none");
	}
	assert_int_equal(starts(), 1);
	pillow.lacks_ns -= 31 * NS_PER_S;
	assert_int_equal(decodes("x"), PIPELINE_LACKS);
	assert_int_equal(starts(), 2);
}

static void an_interpreter_that_is_none(void **state)
{
	(void)state;
	is("exit 1\n");
	assert_int_equal(decodes("x"), PIPELINE_LACKS);
	assert_non_null(strstr(e.text, "does not start with"));
	pillow_finish(&pillow);
	pillow_init(&pillow, "/nowhere/python");
	assert_int_equal(decodes("x"), PIPELINE_LACKS);
	assert_non_null(strstr(e.text, "/nowhere/python cannot be started: No such file"));
	pillow_finish(&pillow);
	pillow_init(&pillow, "");
	assert_int_equal(decodes("x"), PIPELINE_LACKS);
	assert_non_null(strstr(e.text, "install both"));
}

static void one_that_has_died_meanwhile_costs_no_picture(void **state)
{
	struct pillow *p = &pillow;

	(void)state;
	is(HELLO ASKED PICTURE);
	assert_int_equal(decodes(""), 0);
	/* It ends by itself, and stays a zombie, which is ours. */
	assert_int_equal(waitid(P_PID, (id_t)p->pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	assert_int_equal(decodes(""), 0);
	assert_int_equal(starts(), 2);
}

enum { THREADS = 8 };

static void *asks(void *ret)
{
	struct image mine = { 0 };
	struct sconce_error why;
	uint8_t orientation;

	for (int i = 0; i < 8; i++) {
		int r = pillow.decoder.decode(&pillow.decoder, SLICE("x"), IMAGE_MODES, 100, &mine,
					      &orientation, &why);

		*(int *)ret += !r && memcmp(mine.pixels, "abc\377def\377", 8) == 0;
		image_free(&mine);
	}
	return NULL;
}

static void threads_take_turns(void **state)
{
	pthread_t threads[THREADS];
	int right[THREADS] = { 0 };

	(void)state;
	is(HELLO "while head -c 25 | grep -q .; do " PICTURE "done\n");
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, asks, &right[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(right[i], 8);
	}
	assert_int_equal(starts(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pictures_come_from_one_process, setup, teardown),
		cmocka_unit_test_setup_teardown(it_says_what_is_wrong_with_a_picture, setup,
						teardown),
		cmocka_unit_test_setup_teardown(there_may_be_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_ends_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(but_not_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_hangs_is_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_missing_is_not_looked_for_each_time, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_interpreter_that_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_has_died_meanwhile_costs_no_picture, setup,
						teardown),
		cmocka_unit_test_setup_teardown(threads_take_turns, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
