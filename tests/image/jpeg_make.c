/* SPDX-License-Identifier: Apache-2.0 */

/*
 * For tests in Python: makes JPEGs of the kinds that Pillow does not write. Requests on the
 * standard input, one after the other:
 *
 *     make W H COMPONENTS SPACE QUALITY RESTART KIND ARITHMETIC FACTORS MARKERS\n   then W * H *
 *             COMPONENTS bytes
 *
 * SPACE: libjpeg's number of the space that is in the file; the samples are taken as they are.
 * KIND: 0 baseline, 1 progressive, 2 baseline with a scan for each component. FACTORS: horizontal
 * and vertical, two digits a component. MARKERS: 1 JFIF, 2 Adobe. The answer is
 *
 *     N\n   and N bytes of a file; 0: libjpeg refused
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>

#include "base/util.h"

struct request {
	unsigned width, height, components, space, quality, restart, kind, arithmetic, markers;
	char factors[16];
	uint8_t *pixels;
};

struct maker {
	struct jpeg_compress_struct c;
	struct jpeg_error_mgr errors;
	jmp_buf failed;
	unsigned char *bytes;
	unsigned long n;
};

static void on_error(j_common_ptr common)
{
	struct maker *m = common->client_data;

	/* tidy: allow banned: the way out of libjpeg */
	longjmp(m->failed, 1);
}

static void on_message(j_common_ptr common _unused_)
{
}

static int read_request(struct request *q)
{
	char line[256];
	size_t n;

	if (!fgets(line, sizeof(line), stdin) ||
	    sscanf(line, "make %u %u %u %u %u %u %u %u %15s %u", &q->width, &q->height,
		   &q->components, &q->space, &q->quality, &q->restart, &q->kind, &q->arithmetic,
		   q->factors, &q->markers) != 10)
		return -1;
	n = (size_t)q->width * q->height * q->components;
	q->pixels = malloc(n);
	return q->pixels && fread(q->pixels, 1, n, stdin) == n ? 0 : -1;
}

static void settings(struct maker *m, const struct request *q)
{
	m->c.image_width = q->width;
	m->c.image_height = q->height;
	m->c.input_components = (int)q->components;
	m->c.in_color_space = (J_COLOR_SPACE)q->space;
	jpeg_set_defaults(&m->c);
	jpeg_set_colorspace(&m->c, (J_COLOR_SPACE)q->space);
	jpeg_set_quality(&m->c, (int)q->quality, FALSE);
	m->c.restart_interval = q->restart;
	m->c.arith_code = q->arithmetic != 0;
	for (unsigned i = 0; i < q->components; i++) {
		m->c.comp_info[i].h_samp_factor = q->factors[i * 2] - '0';
		m->c.comp_info[i].v_samp_factor = q->factors[i * 2 + 1] - '0';
	}
	if (q->kind == 1)
		jpeg_simple_progression(&m->c);
	m->c.write_JFIF_header = (q->markers & 1) != 0;
	m->c.write_Adobe_marker = (q->markers & 2) != 0;
}

static void make(struct maker *m, const struct request *q)
{
	static const jpeg_scan_info apart[] = {
		{ 1, { 0 }, 0, 63, 0, 0 },
		{ 1, { 1 }, 0, 63, 0, 0 },
		{ 1, { 2 }, 0, 63, 0, 0 },
		{ 1, { 3 }, 0, 63, 0, 0 },
	};

	/* tidy: allow banned: libjpeg has no other way to tell errors */
	if (setjmp(m->failed)) {
		m->n = 0;
		return;
	}
	jpeg_create_compress(&m->c);
	jpeg_mem_dest(&m->c, &m->bytes, &m->n);
	settings(m, q);
	if (q->kind == 2) {
		m->c.scan_info = apart;
		m->c.num_scans = (int)q->components;
	}
	jpeg_start_compress(&m->c, TRUE);
	for (unsigned y = 0; y < q->height; y++) {
		JSAMPROW row = q->pixels + (size_t)y * q->width * q->components;

		jpeg_write_scanlines(&m->c, &row, 1);
	}
	jpeg_finish_compress(&m->c);
}

int main(void)
{
	struct request q = { 0 };

	while (read_request(&q) == 0) {
		struct maker m = { 0 };

		m.c.err = jpeg_std_error(&m.errors);
		m.errors.error_exit = on_error;
		m.errors.output_message = on_message;
		m.c.client_data = &m;
		make(&m, &q);
		printf("%lu\n", m.n);
		fwrite(m.bytes, 1, m.n, stdout);
		fflush(stdout);
		jpeg_destroy_compress(&m.c);
		free(m.bytes);
		free(TAKE(q.pixels));
	}
	free(q.pixels);
	return 0;
}
