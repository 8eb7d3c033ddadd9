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
 *
 *     lower BY N\n   then N bytes of a file
 *
 * is answered in the same way: the file without the coefficients that are not read where it is
 * decoded at 1/BY of its size (src/image/jpeg_huffman.h), which no other decoder knows of.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>

#include "base/util.h"

struct request {
	unsigned width, height, components, space, quality, restart, kind, arithmetic, markers;
	char factors[16];
	unsigned by; /* 0: the file is to be made */
	size_t n;
	uint8_t *bytes; /* pixels, or a file */
};

struct maker {
	struct jpeg_compress_struct c;
	struct jpeg_decompress_struct d;
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

static int read_bytes(struct request *q)
{
	q->bytes = malloc(q->n);
	return q->bytes && fread(q->bytes, 1, q->n, stdin) == q->n ? 0 : -1;
}

static int read_request(struct request *q)
{
	char line[256];

	if (!fgets(line, sizeof(line), stdin))
		return -1;
	q->by = 0;
	if (sscanf(line, "lower %u %zu", &q->by, &q->n) == 2)
		return read_bytes(q);
	if (sscanf(line, "make %u %u %u %u %u %u %u %u %15s %u", &q->width, &q->height,
		   &q->components, &q->space, &q->quality, &q->restart, &q->kind, &q->arithmetic,
		   q->factors, &q->markers) != 10)
		return -1;
	q->n = (size_t)q->width * q->height * q->components;
	return read_bytes(q);
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

	settings(m, q);
	if (q->kind == 2) {
		m->c.scan_info = apart;
		m->c.num_scans = (int)q->components;
	}
	jpeg_start_compress(&m->c, TRUE);
	for (unsigned y = 0; y < q->height; y++) {
		JSAMPROW row = q->bytes + (size_t)y * q->width * q->components;

		jpeg_write_scanlines(&m->c, &row, 1);
	}
	jpeg_finish_compress(&m->c);
}

/* ---- lowering ---- */

/* The place of a block's coefficient in the order in which they are written. */
static int place(int row, int column)
{
	int diagonal = row + column, before = diagonal * (diagonal + 1) / 2;

	if (diagonal >= 8)
		return 63 - place(7 - row, 7 - column);
	return before + (diagonal & 1 ? row : column);
}

static void lower_block(JCOEF *block, int keep)
{
	for (int i = 0; i < 64; i++)
		if (place(i / 8, i % 8) >= keep)
			block[i] = 0;
}

static void lower_component(j_decompress_ptr d, jvirt_barray_ptr blocks,
			    const jpeg_component_info *c, int keep)
{
	for (JDIMENSION y = 0; y < c->height_in_blocks; y++) {
		JBLOCKARRAY row = d->mem->access_virt_barray((j_common_ptr)d, blocks, y, 1, TRUE);

		for (JDIMENSION x = 0; x < c->width_in_blocks; x++)
			lower_block(row[0][x], keep);
	}
}

/* How many are read. */
static int kept(const struct jpeg_decompress_struct *d, const jpeg_component_info *c)
{
	bool read = !d->progressive_mode && !d->arith_code && d->comps_in_scan == d->num_components;

	if (!read || c->DCT_scaled_size == 8)
		return 64;
	return c->DCT_scaled_size == 4 ? 25 : c->DCT_scaled_size == 2 ? 5 : 1;
}

static void lower(struct maker *m, const struct request *q)
{
	j_decompress_ptr d = &m->d;
	int keep[MAX_COMPONENTS];
	jvirt_barray_ptr *blocks;

	jpeg_mem_src(d, q->bytes, q->n);
	jpeg_read_header(d, TRUE);
	d->scale_denom = q->by;
	jpeg_calc_output_dimensions(d);
	for (int i = 0; i < d->num_components; i++)
		keep[i] = kept(d, &d->comp_info[i]);
	blocks = jpeg_read_coefficients(d);
	for (int i = 0; i < d->num_components; i++)
		lower_component(d, blocks[i], &d->comp_info[i], keep[i]);
	jpeg_copy_critical_parameters(d, &m->c);
	jpeg_write_coefficients(&m->c, blocks);
	jpeg_finish_compress(&m->c);
}

/* ---- either ---- */

static void answer(struct maker *m, const struct request *q)
{
	/* tidy: allow banned: libjpeg has no other way to tell errors */
	if (setjmp(m->failed)) {
		m->n = 0;
		return;
	}
	jpeg_create_compress(&m->c);
	jpeg_create_decompress(&m->d);
	jpeg_mem_dest(&m->c, &m->bytes, &m->n);
	if (q->by)
		lower(m, q);
	else
		make(m, q);
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
		m.d.err = &m.errors;
		m.d.client_data = &m;
		answer(&m, &q);
		printf("%lu\n", m.n);
		fwrite(m.bytes, 1, m.n, stdout);
		fflush(stdout);
		jpeg_destroy_compress(&m.c);
		jpeg_destroy_decompress(&m.d);
		free(m.bytes);
		free(TAKE(q.bytes));
	}
	free(q.bytes);
	return 0;
}
