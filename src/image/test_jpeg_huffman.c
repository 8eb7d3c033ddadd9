/* SPDX-License-Identifier: Apache-2.0 */
/* Which pictures are read by it, and where it gives up. What pixels should be is known to Pillow:
 * tests/image compares with it, also in files that are damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "image/jpeg_huffman.h"

#define SIDE 64U

struct kind {
	bool progressive, arithmetic;
	unsigned restart; /* after so many units */
	int quality;
};

struct file {
	unsigned char *p;
	unsigned long n;
};

static struct file make(const struct kind *kind)
{
	struct jpeg_compress_struct c;
	struct jpeg_error_mgr errors;
	struct file f = { NULL, 0 };
	uint8_t row[SIDE * 3];
	JSAMPROW rows[] = { row };
	unsigned noise = 1;

	c.err = jpeg_std_error(&errors);
	jpeg_create_compress(&c);
	jpeg_mem_dest(&c, &f.p, &f.n);
	c.image_width = c.image_height = SIDE;
	c.input_components = 3;
	c.in_color_space = JCS_RGB;
	jpeg_set_defaults(&c);
	jpeg_set_quality(&c, kind->quality ? kind->quality : 90, TRUE);
	c.restart_interval = kind->restart;
	c.arith_code = kind->arithmetic;
	if (kind->progressive)
		jpeg_simple_progression(&c);
	jpeg_start_compress(&c, TRUE);
	while (c.next_scanline < SIDE) {
		for (unsigned i = 0; i < sizeof(row); i++) {
			noise = noise * 1103515245 + 12345;
			row[i] = (uint8_t)(noise >> 24);
		}
		jpeg_write_scanlines(&c, rows, 1);
	}
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
	return f;
}

static boolean no_more(j_decompress_ptr d _unused_)
{
	return FALSE;
}

/* A file that is being decompressed. */
struct rig {
	struct jpeg_decompress_struct d;
	struct jpeg_error_mgr errors;
	struct jpeg_huffman *huffman;
};

static void rig_begin(struct rig *r, struct file f, bool takes, unsigned by)
{
	r->d.err = jpeg_std_error(&r->errors);
	jpeg_create_decompress(&r->d);
	jpeg_mem_src(&r->d, f.p, f.n);
	r->d.src->fill_input_buffer = no_more;
	assert_int_equal(jpeg_read_header(&r->d, TRUE), JPEG_HEADER_OK);
	r->d.scale_denom = by;
	assert_true(jpeg_start_decompress(&r->d));
	r->huffman = takes ? jpeg_huffman_begin(&r->d, f.p + f.n) : NULL;
}

/* Rows that there were. */
static unsigned rig_read(struct rig *r, uint8_t *pixels)
{
	while (r->d.output_scanline < r->d.output_height) {
		JSAMPROW row = pixels + (size_t)r->d.output_scanline * SIDE * 3;

		if (!jpeg_read_scanlines(&r->d, &row, 1))
			break;
	}
	return r->d.output_scanline;
}

static void rig_end(struct rig *r)
{
	jpeg_destroy_decompress(&r->d);
	jpeg_huffman_free(r->huffman);
}

static void pixels_are_those_of_the_library(void **state _unused_)
{
	static const struct kind kinds[] = {
		{ 0 }, { .restart = 1 }, { .restart = 5 }, { .quality = 5 }, { .quality = 100 }
	};
	static uint8_t ours[SIDE * SIDE * 3], theirs[SIDE * SIDE * 3];

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		struct file f = make(&kinds[i]);
		struct rig r;

		rig_begin(&r, f, true, 1);
		assert_non_null(r.huffman);
		assert_int_equal(rig_read(&r, ours), SIDE);
		assert_false(jpeg_huffman_is_lost(r.huffman));
		assert_true(jpeg_finish_decompress(&r.d));
		rig_end(&r);
		rig_begin(&r, f, false, 1);
		assert_int_equal(rig_read(&r, theirs), SIDE);
		rig_end(&r);
		assert_memory_equal(ours, theirs, sizeof(ours));
		free(f.p);
	}
}

static void what_has_no_such_codes_is_left(void **state _unused_)
{
	static const struct kind kinds[] = { { .progressive = true }, { .arithmetic = true } };

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		struct file f = make(&kinds[i]);
		struct rig r;

		rig_begin(&r, f, false, 1);
		assert_null(jpeg_huffman_begin(&r.d, f.p + f.n));
		rig_end(&r);
		free(f.p);
	}
}

/* Wherever it is cut, it is not read to its end, and nothing behind the end is read. */
static void a_file_that_is_cut_is_lost(void **state _unused_)
{
	static uint8_t pixels[SIDE * SIDE * 3];
	struct file f = make(&(struct kind){ .restart = 3 });

	for (unsigned by = 1; by <= 8; by *= 2)
		for (unsigned long n = f.n - 1; n > f.n - 600; n -= n > f.n - 40 ? 1 : 23) {
			struct file cut = { malloc(n), n };
			struct rig r;

			assert_non_null(cut.p);
			memcpy(cut.p, f.p, n);
			rig_begin(&r, cut, true, by);
			assert_true(rig_read(&r, pixels) < r.d.output_height);
			assert_true(jpeg_huffman_is_lost(r.huffman));
			rig_end(&r);
			free(cut.p);
		}
	free(f.p);
}

/* The first marker of a restart, and the end. */
static void markers_are_where_they_belong(void **state _unused_)
{
	static uint8_t pixels[SIDE * SIDE * 3];
	static const uint8_t restart[] = { 0xff, 0xd0 };
	struct file f = make(&(struct kind){ .restart = 3 });
	uint8_t *first = memmem(f.p, f.n, restart, sizeof(restart));
	uint8_t *places[] = { first, first + 1, f.p + f.n - 2, f.p + f.n - 1 };

	assert_non_null(first);
	for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
		uint8_t before = *places[i];
		struct rig r;

		*places[i] ^= 1;
		rig_begin(&r, f, true, 1);
		assert_true(rig_read(&r, pixels) < SIDE);
		assert_true(jpeg_huffman_is_lost(r.huffman));
		rig_end(&r);
		*places[i] = before;
	}
	free(f.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pixels_are_those_of_the_library),
		cmocka_unit_test(what_has_no_such_codes_is_left),
		cmocka_unit_test(a_file_that_is_cut_is_lost),
		cmocka_unit_test(markers_are_where_they_belong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
