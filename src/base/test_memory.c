/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/region.h"
#include "base/uuid.h"

static void buffers_remember_their_bound(void **state)
{
	struct buf b = BUF_INIT(10);
	char *text;

	(void)state;
	assert_string_equal(buf_cstr(&b), "");
	assert_int_equal(buf_puts(&b, "12345"), 0);
	assert_int_equal(buf_put_u64(&b, 67890), 0);
	assert_false(buf_overflowed(&b));
	assert_int_equal(buf_putc(&b, 'x'), -ENOBUFS);
	assert_true(buf_overflowed(&b));
	assert_string_equal(buf_cstr(&b), "1234567890");
	buf_clear(&b);
	buf_printf(&b, "%s-%d", "a", 5);
	buf_drop(&b, 2);
	text = buf_steal(&b);
	assert_string_equal(text, "5");
	free(text);
	buf_finish(&b);
}

static void maps_keep_order_and_delete_while_walking(void **state)
{
	static int values[200];
	unsigned seen = 0;
	struct map m;

	(void)state;
	map_init(&m);
	for (int i = 0; i < 200; i++) {
		_cleanup_(freep) char *key = mem_printf("key-%d", i);

		map_set(&m, slice_str(key), &values[i]);
	}
	assert_ptr_equal(map_get(&m, SLICE("key-150")), &values[150]);
	assert_null(map_get(&m, SLICE("key-200")));
	map_set(&m, SLICE("key-3"), &values[0]);
	assert_int_equal(m.n, 200);
	map_for_each (e, &m) {
		if (seen != 3)
			assert_ptr_equal(e->value, &values[seen]);
		if (seen++ % 2)
			map_remove(&m, slice_make(e->key, e->key_len));
	}
	assert_int_equal(seen, 200);
	assert_int_equal(m.n, 100);
	assert_null(map_get(&m, SLICE("key-5")));
	map_finish(&m);
}

static void lists_splice_and_unlink_twice(void **state)
{
	struct list a = LIST_INIT(a), b = LIST_INIT(b), n[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		list_init(&n[i]);
		list_push_back(i ? &b : &a, &n[i]);
	}
	list_splice_back(&a, &b);
	assert_true(list_empty(&b));
	assert_ptr_equal(list_last(&a), &n[2]);
	list_remove(&n[1]);
	list_remove(&n[1]);
	assert_ptr_equal(n[0].next, &n[2]);
	assert_ptr_equal(list_pop(&a), &n[0]);
}

static void regions_give_zeroed_aligned_memory(void **state)
{
	struct region r;
	char *large;

	(void)state;
	region_init(&r);
	for (int round = 0; round < 3; round++) {
		for (size_t n = 1; n < 300; n++) {
			char *p = region_alloc(&r, n);

			assert_int_equal((uintptr_t)p % 16, 0);
			assert_int_equal(p[0] | p[n - 1], 0);
			memset(p, 0xff, n);
		}
		large = region_alloc(&r, 100000);
		memset(large, 0xff, 100000);
		region_reset(&r);
	}
	assert_string_equal(region_printf(&r, "%d", 42), "42");
	region_finish(&r);
}

static bool is_there(const char *folder, const char *name)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", folder, name);

	return access(path, F_OK) == 0;
}

/* Somebody who may write to the folder waits with a file of his own, to read what is written. */
static void files_are_written_to_new_ones(void **state)
{
	char dir[] = "/tmp/sconce-file-XXXXXX";
	_cleanup_(freep) char *path = NULL, *waiting = NULL, *elsewhere = NULL;
	_cleanup_(closep) int fd = -1;
	char c;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = mem_printf("%s/key", dir);
	elsewhere = mem_printf("%s/elsewhere", dir);
	waiting = mem_printf("%s.%d.tmp", path, (int)getpid());
	fd = open(waiting, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	assert_true(fd >= 0);
	assert_int_equal(file_write_atomic(path, SLICE("secret"), 0600), 0);
	assert_int_equal(pread(fd, &c, 1, 0), 0);
	assert_int_equal(symlink(elsewhere, waiting), 0);
	assert_int_equal(file_write_atomic(path, SLICE("secret"), 0600), 0);
	assert_false(is_there(dir, "elsewhere"));
	assert_int_equal(file_remove_tree(dir), 0);
}

/* Deeper than descriptors, wide, and with links to what has to stay. */
static void trees_are_removed_without_following_links(void **state)
{
	char dir[] = "/tmp/sconce-tree-XXXXXX";
	_cleanup_(freep) char *kept = NULL, *tree = NULL, *inner = NULL, *link = NULL;
	_cleanup_(buf_finish) struct buf deep = BUF_INIT(4000);

	(void)state;
	assert_non_null(mkdtemp(dir));
	kept = mem_printf("%s/kept/inside", dir);
	tree = mem_printf("%s/tree", dir);
	link = mem_printf("%s/tree/link", dir);
	assert_int_equal(file_make_dirs(kept, 0755), 0);
	buf_puts(&deep, tree);
	for (int i = 0; i < 300; i++)
		buf_puts(&deep, "/d");
	assert_int_equal(file_make_dirs(buf_cstr(&deep), 0755), 0);
	/* Near the top, and further down than there are folders open at once. */
	for (int i = 0; i < 200; i++) {
		int n = (int)strlen(tree) + (i < 100 ? 4 : 80);
		_cleanup_(freep) char *at = mem_printf("%.*s/%d/x", n, buf_cstr(&deep), i);

		assert_int_equal(file_make_dirs(at, 0755), 0);
	}
	inner = mem_printf("%s/d/link", tree);
	*strrchr(kept, '/') = '\0';
	assert_true(symlink(kept, link) == 0 && symlink(kept, inner) == 0);
	assert_int_equal(file_remove_tree(tree), 0);
	assert_true(!is_there(dir, "tree") && is_there(dir, "kept/inside"));
	assert_int_equal(symlink(kept, tree), 0);
	assert_int_equal(file_remove_tree(tree), 0);
	assert_true(!is_there(dir, "tree") && is_there(dir, "kept/inside"));
	assert_int_equal(file_remove_tree(dir), 0);
}

static void files_are_replaced_whole(void **state)
{
	char dir[] = "/tmp/sconce-file-XXXXXX";
	_cleanup_(freep) char *path = NULL, *deep = NULL;
	struct buf b = BUF_INIT(5);

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = mem_printf("%s/f", dir);
	deep = mem_printf("%s/a/b/c", dir);
	assert_int_equal(file_read(path, &b), -ENOENT);
	assert_int_equal(file_write_atomic(path, SLICE("12345"), 0600), 0);
	assert_int_equal(file_read(path, &b), 0);
	assert_false(buf_overflowed(&b));
	assert_int_equal(b.n, 5);
	assert_int_equal(file_write_atomic(path, SLICE("123456"), 0600), 0);
	buf_clear(&b);
	assert_int_equal(file_read(path, &b), -ENOBUFS);
	assert_int_equal(file_make_dirs(deep, 0755), 0);
	assert_int_equal(file_make_dirs(deep, 0755), 0);
	assert_int_equal(file_remove_tree(dir), 0);
	assert_int_equal(file_remove_tree(dir), 0);
	buf_finish(&b);
}

static void uuids_are_version_4_and_differ(void **state)
{
	char a[UUID_LEN + 1], b[UUID_LEN + 1];

	(void)state;
	uuid_make(a);
	uuid_make(b);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), UUID_LEN);
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	assert_true(a[8] == '-' && a[13] == '-' && a[18] == '-' && a[23] == '-');
}

static void uuids_have_all_digits_and_no_others(void **state)
{
	static const char digits[] = "0123456789abcdef-";
	bool seen[sizeof(digits)] = { false };
	char id[UUID_LEN + 1];

	(void)state;
	for (int k = 0; k < 100; k++) {
		uuid_make(id);
		assert_int_equal(strspn(id, digits), UUID_LEN);
		for (int i = 0; i < UUID_LEN; i++)
			seen[strchr(digits, id[i]) - digits] = true;
	}
	for (size_t i = 0; i < sizeof(digits) - 1; i++)
		assert_true(seen[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_remember_their_bound),
		cmocka_unit_test(maps_keep_order_and_delete_while_walking),
		cmocka_unit_test(lists_splice_and_unlink_twice),
		cmocka_unit_test(regions_give_zeroed_aligned_memory),
		cmocka_unit_test(files_are_replaced_whole),
		cmocka_unit_test(files_are_written_to_new_ones),
		cmocka_unit_test(trees_are_removed_without_following_links),
		cmocka_unit_test(uuids_are_version_4_and_differ),
		cmocka_unit_test(uuids_have_all_digits_and_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
