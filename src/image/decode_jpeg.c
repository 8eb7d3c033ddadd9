/* SPDX-License-Identifier: Apache-2.0 */

/*
 * JPEG, by libjpeg-turbo with its defaults (exact DCT, smooth upsampling), as Pillow uses it. The
 * library reads from a source that may run dry and is fed in Pillow's portions: so it finds the
 * same files too short, and looks as far beyond the last row as it does there. Most pictures are
 * read by jpeg_huffman.c within it; where that finds one that is not as it should be, the library
 * decodes it from the beginning.
 */
#include "image/file.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
#include <jerror.h>

#include "base/util.h"
#include "image/jpeg_head.h"
#include "image/jpeg_huffman.h"

#define PORTION 65536
#define ROWS 16 /* asked of the library at a time */
/* Each scan goes over all blocks of the picture, however little it says. Encoders write up to a
 * dozen; what may be more is bounded by what it costs, and by 100. */
#define SCANS 16
#define SCANS_MAX 100
#define SCANNED_BLOCKS (UINT64_C(1) << 24) /* some 0.7 s */

struct jpeg {
	struct jpeg_decompress_struct d;
	struct jpeg_error_mgr errors;
	struct jpeg_source_mgr source;
	struct jpeg_progress_mgr progress;
	jmp_buf failed;
	struct image_file *f;
	struct image_error *e;
	int code;                     /* of the failure */
	bool started;                 /* `d` is to be destroyed */
	bool ready;                   /* rows can be read */
	bool plain;                   /* it is left to the library */
	struct jpeg_huffman *huffman; /* NULL: it is */
	size_t given;                 /* bytes of the file that the source has had */
	size_t skip;                  /* of those that come next */
	uint32_t width, height;
	unsigned by; /* decoded at 1/by of its size */
	int scans;   /* it may have at most */
	/* What is asked for at the moment. */
	uint8_t *to;
	size_t stride;
	uint32_t rows;
};

static void on_error(j_common_ptr common)
{
	struct jpeg *j = common->client_data;
	char text[JMSG_LENGTH_MAX];

	common->err->format_message(common, text);
	j->code = IMAGE_BAD;
	if (common->err->msg_code == JERR_OUT_OF_MEMORY)
		j->code = IMAGE_NO_MEMORY;
	image_fail(j->e, j->code, "the JPEG cannot be decoded: %s", text);
	/* tidy: allow banned: the one way out of libjpeg that leaves it fit to be destroyed */
	longjmp(j->failed, 1);
}

static void on_message(j_common_ptr common _unused_)
{
}

static void on_progress(j_common_ptr common)
{
	struct jpeg *j = common->client_data;

	if (j->d.input_scan_number <= j->scans)
		return;
	j->code = image_fail(j->e, IMAGE_TOO_LARGE, "the JPEG has more than %d scans", j->scans);
	/* tidy: allow banned: as in on_error() */
	longjmp(j->failed, 1);
}

static void on_source(j_decompress_ptr d _unused_)
{
}

static boolean on_dry(j_decompress_ptr d _unused_)
{
	return FALSE;
}

static void on_skip(j_decompress_ptr d, long bytes)
{
	struct jpeg *j = d->client_data;
	size_t n = bytes > 0 ? (size_t)bytes : 0, here = MIN(n, d->src->bytes_in_buffer);

	d->src->next_input_byte += here;
	d->src->bytes_in_buffer -= here;
	j->skip = n - here;
}

/* More of the file; an error where there is no more. */
static int feed(struct jpeg *j)
{
	size_t n = MIN((size_t)PORTION, j->f->n - j->given), skip = MIN(j->skip, n);

	if (!n)
		return image_fail(j->e, IMAGE_BAD, "the JPEG ends too early, at row %u of %u",
				  j->f->reader.row, j->f->reader.info.height);
	j->given += n;
	j->source.bytes_in_buffer += n - skip;
	j->source.next_input_byte += skip;
	j->skip -= skip;
	return 0;
}

static void create(struct jpeg *j)
{
	j->d.err = jpeg_std_error(&j->errors);
	j->errors.error_exit = on_error;
	j->errors.output_message = on_message;
	j->d.client_data = j;
	j->started = true;
	jpeg_create_decompress(&j->d);
	j->source = (struct jpeg_source_mgr){
		.next_input_byte = j->f->p,
		.init_source = on_source,
		.fill_input_buffer = on_dry,
		.skip_input_data = on_skip,
		.resync_to_restart = jpeg_resync_to_restart,
		.term_source = on_source,
	};
	j->d.src = &j->source;
	j->progress.progress_monitor = on_progress;
	j->d.progress = &j->progress;
}

/* The coefficients of a picture that comes in several scans stand in memory all at once. */
static int check_scans(struct jpeg *j)
{
	uint64_t blocks = 0;

	j->scans = 1;
	if (!jpeg_has_multiple_scans(&j->d))
		return 0;
	for (int i = 0; i < j->d.num_components; i++) {
		const jpeg_component_info *c = &j->d.comp_info[i];

		blocks += roundup((uint64_t)c->width_in_blocks, (unsigned)c->h_samp_factor) *
			  roundup((uint64_t)c->height_in_blocks, (unsigned)c->v_samp_factor);
	}
	j->scans = (int)MIN(SCANS + SCANNED_BLOCKS / blocks, (uint64_t)SCANS_MAX);
	return image_file_afford(j->f, blocks * sizeof(JBLOCK), j->e);
}

static int head(struct jpeg *j)
{
	int got;

	create(j);
	/* Tables may come in a stream of their own before the picture. */
	while ((got = jpeg_read_header(&j->d, FALSE)) != JPEG_HEADER_OK)
		if (got == JPEG_SUSPENDED && feed(j))
			return IMAGE_BAD;
	if (j->d.image_width != j->width || j->d.image_height != j->height)
		return image_fail(j->e, IMAGE_BAD, "the JPEG is damaged: it has two sizes");
	switch (j->f->reader.info.mode) {
	case IMAGE_L:
		j->d.out_color_space = JCS_GRAYSCALE;
		break;
	case IMAGE_RGB:
		j->d.out_color_space = JCS_EXT_RGBA;
		break;
	default:
		j->d.out_color_space = JCS_CMYK;
	}
	j->d.scale_num = 1;
	j->d.scale_denom = j->by;
	return check_scans(j);
}

static int start(struct jpeg *j)
{
	int code = head(j);

	while (!code && !jpeg_start_decompress(&j->d))
		code = feed(j);
	if (code)
		return code;
	if (j->d.output_width != j->f->reader.info.width ||
	    j->d.output_height != j->f->reader.info.height ||
	    (unsigned)j->d.output_components != image_pixel(j->f->reader.info.mode))
		return image_fail(j->e, IMAGE_BAD, "the JPEG cannot be decoded at 1/%u of its size",
				  j->by);
	j->ready = true;
	if (!j->plain)
		j->huffman = jpeg_huffman_begin(&j->d, j->f->p + j->f->n);
	if (j->huffman)
		j->given = j->f->n;
	return 0;
}

/* Adobe's programs write CMYK inverted, and everyone reads it so. */
static void invert(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)~p[i];
}

static int next_rows(struct jpeg *j, uint32_t done)
{
	uint32_t n = MIN(j->rows - done, (uint32_t)ROWS);
	size_t bytes = (size_t)j->f->reader.info.width * 4;
	JSAMPROW to[ROWS];
	JDIMENSION got;

	for (uint32_t i = 0; i < n; i++)
		to[i] = j->to + (done + i) * j->stride;
	got = jpeg_read_scanlines(&j->d, to, n);
	for (uint32_t i = 0; i < got && j->f->reader.info.mode == IMAGE_CMYK; i++)
		invert(to[i], bytes);
	return (int)got;
}

/* By the library, from the beginning up to the row that is to come; those before it, again, have
 * their place for a moment. */
static int again(struct jpeg *j, uint32_t done)
{
	JDIMENSION row = j->d.output_scanline;
	JSAMPROW to = j->to + done * j->stride;
	int code;

	jpeg_destroy_decompress(&j->d);
	jpeg_huffman_free(j->huffman);
	j->huffman = NULL;
	j->plain = true;
	j->given = j->skip = 0;
	code = start(j);
	while (!code && j->d.output_scanline < row)
		if (!jpeg_read_scanlines(&j->d, &to, 1))
			code = feed(j);
	return code;
}

static int read_rows(struct jpeg *j)
{
	uint32_t done = 0;
	int code = j->ready ? 0 : start(j);

	while (!code && done < j->rows) {
		int got = next_rows(j, done);

		done += (uint32_t)got;
		if (!got)
			code = j->huffman ? again(j, done) : feed(j);
	}
	/* What comes behind the last row may be missing, but not wrong. */
	if (!code && j->d.output_scanline == j->d.output_height)
		(void)jpeg_finish_decompress(&j->d);
	return code;
}

/* Runs `f`, of whose calls into the library any may be left by on_error(). */
static int guarded(struct jpeg *j, int (*f)(struct jpeg *j))
{
	/* tidy: allow banned: libjpeg has no other way to tell errors */
	if (setjmp(j->failed))
		return j->code;
	return f(j);
}

static int destroy(struct jpeg *j)
{
	jpeg_destroy_decompress(&j->d);
	jpeg_huffman_free(j->huffman);
	j->huffman = NULL;
	return 0;
}

static bool jpeg_is(const uint8_t *p, size_t n)
{
	return n >= 3 && p[0] == 0xff && p[1] == 0xd8 && p[2] == 0xff;
}

static int jpeg_open(struct image_file *f, struct image_error *e)
{
	struct jpeg *j;
	int code = jpeg_head(f->p, f->n, &f->reader.info, e);

	if (code)
		return code;
	j = f->state = calloc(1, sizeof(*j));
	if (!j)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory to read a JPEG");
	j->f = f;
	j->by = 1;
	j->width = f->reader.info.width;
	j->height = f->reader.info.height;
	return 0;
}

static void jpeg_scale(struct image_file *f, unsigned by)
{
	struct jpeg *j = f->state;

	j->by = by;
	f->reader.info.width = (j->width + by - 1) / by;
	f->reader.info.height = (j->height + by - 1) / by;
}

static int jpeg_rows(struct image_file *f, uint8_t *to, size_t stride, uint32_t n,
		     struct image_error *e)
{
	struct jpeg *j = f->state;

	if (j->code)
		return image_fail(e, j->code, "the JPEG could not be decoded");
	j->to = to;
	j->stride = stride;
	j->rows = n;
	j->e = e;
	j->code = guarded(j, read_rows);
	return j->code;
}

static void jpeg_close(struct image_file *f)
{
	struct jpeg *j = f->state;

	if (j && j->started)
		guarded(j, destroy);
	free(j);
}

const struct image_codec image_codec_jpeg = {
	.format = IMAGE_JPEG,
	.name = "JPEG",
	.is = jpeg_is,
	.open = jpeg_open,
	.scale = jpeg_scale,
	.rows = jpeg_rows,
	.close = jpeg_close,
};
