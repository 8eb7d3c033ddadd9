/* SPDX-License-Identifier: Apache-2.0 */

/*
 * For tests in Python: does steps with what comes on the standard input, one request after the
 * other, and writes what came of it.
 *
 *     chain MODE WIDTH HEIGHT ORIENTATION SCALED STEPS N\n   then STEPS lines, then N bytes
 *     OP NUMBERS\n                                           as parse_step() has them
 *
 * The bytes are those of a file where MODE is `-`, otherwise dense pixels. ORIENTATION: 0 is what
 * the file says. The answer is one of
 *
 *     tensor ELEMENT SHAPE SHAPE SHAPE N\n   then N bytes
 *     image MODE WIDTH HEIGHT N\n
 *     error CODE SENTENCE\n
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/chain.h"

#define STEPS 64
#define NUMBERS 9

struct request {
	char mode[8];
	uint32_t width, height;
	unsigned orientation, scaled;
	size_t n_steps, n;
	struct image_step steps[STEPS];
	uint8_t *bytes;
	struct image image; /* of them, where there is a mode */
};

static void set_box(struct image_step *s, const double v[NUMBERS])
{
	s->box.x = (int32_t)v[0];
	s->box.y = (int32_t)v[1];
	s->box.width = (int32_t)v[2];
	s->box.height = (int32_t)v[3];
	for (unsigned i = 0; i < 4; i++)
		s->box.fill[i] = (uint8_t)v[4 + i];
}

static void set_normalize(struct image_step *s, const double v[NUMBERS])
{
	s->normalize.n = (unsigned)v[0];
	for (unsigned i = 0; i < 4; i++) {
		s->normalize.mean[i] = (float)v[1 + i];
		s->normalize.std[i] = (float)v[5 + i];
	}
}

/* A number for the step, and 9 more that mean what the step needs, in the order of its struct. */
static int parse_step(const char *line, struct image_step *s)
{
	double v[NUMBERS] = { 0 };
	unsigned op;
	int at = 0, used;

	if (sscanf(line, "%u%n", &op, &at) != 1)
		return -1;
	for (unsigned i = 0; i < NUMBERS && sscanf(line + at, "%lf%n", &v[i], &used) == 1; i++)
		at += used;
	s->op = op;
	if (op == IMAGE_CONVERT) {
		s->mode = (enum image_mode)v[0];
	} else if (op == IMAGE_RESIZE || op == IMAGE_RESIZE_SHORT) {
		s->resize.width = (uint32_t)v[0];
		s->resize.height = (uint32_t)v[1];
		s->resize.filter = (enum image_filter)v[2];
	} else if (op == IMAGE_NORMALIZE) {
		set_normalize(s, v);
	} else {
		set_box(s, v);
	}
	return 0;
}

static int read_request(struct request *q)
{
	char line[512];

	if (!fgets(line, sizeof(line), stdin) ||
	    sscanf(line, "chain %7s %" SCNu32 " %" SCNu32 " %u %u %zu %zu\n", q->mode, &q->width,
		   &q->height, &q->orientation, &q->scaled, &q->n_steps, &q->n) != 7 ||
	    q->n_steps > STEPS)
		return -1;
	for (size_t i = 0; i < q->n_steps; i++)
		if (!fgets(line, sizeof(line), stdin) || parse_step(line, &q->steps[i]))
			return -1;
	q->bytes = malloc(q->n);
	return q->bytes && fread(q->bytes, 1, q->n, stdin) == q->n ? 0 : -1;
}

static int open_pixels(struct request *q, struct image_reader **reader, struct image_error *e)
{
	enum image_mode mode = 0;
	size_t row;
	int code;

	while (strcmp(image_mode_name(mode), q->mode))
		mode++;
	code = image_create(&q->image, mode, q->width, q->height, e);
	row = (size_t)q->width * image_pixel(mode);
	for (uint32_t y = 0; !code && y < q->height; y++)
		memcpy(q->image.pixels + y * q->image.stride, q->bytes + y * row, row);
	return code ? code : image_reader_of(&q->image, 1, reader, e);
}

static int run_to_image(const struct image_plan *plan, struct image_reader *reader,
			struct image_error *e)
{
	const struct image_result *r = image_plan_result(plan);
	size_t row = (size_t)r->width * image_pixel(r->mode);
	struct image image;
	int code = image_plan_image(plan, reader, &image, e);

	if (code)
		return code;
	printf("image %s %u %u %zu\n", image_mode_name(r->mode), r->width, r->height, r->bytes);
	for (uint32_t y = 0; y < r->height; y++)
		fwrite(image.pixels + y * image.stride, 1, row, stdout);
	image_free(&image);
	return 0;
}

static int run_to_tensor(const struct image_plan *plan, struct image_reader *reader,
			 struct image_error *e)
{
	const struct image_result *r = image_plan_result(plan);
	_cleanup_(freep) void *to = NULL;
	int code;

	/* No byte more, so that a sanitizer sees what is written beyond. */
	if (posix_memalign(&to, IMAGE_ALIGN, r->bytes))
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory");
	code = image_plan_tensor(plan, reader, to, e);
	if (code)
		return code;
	printf("tensor %d %u %u %u %zu\n", r->element, r->shape[0], r->shape[1], r->shape[2],
	       r->bytes);
	fwrite(to, 1, r->bytes, stdout);
	return 0;
}

static int run(struct request *q, struct image_error *e)
{
	struct image_chain chain = { q->steps, q->n_steps, q->scaled };
	struct image_reader *reader = NULL;
	struct image_plan *plan = NULL;
	struct image_info info;
	int code = q->mode[0] == '-' ? image_open(q->bytes, q->n, NULL, &reader, e)
				     : open_pixels(q, &reader, e);

	if (!code) {
		info = *image_reader_info(reader);
		if (q->orientation)
			info.orientation = (uint8_t)q->orientation;
		code = image_plan_create(&chain, &info, &plan, e);
	}
	if (!code)
		code = image_plan_result(plan)->tensor ? run_to_tensor(plan, reader, e)
						       : run_to_image(plan, reader, e);
	image_plan_free(plan);
	image_reader_close(reader);
	return code;
}

int main(void)
{
	struct request q = { 0 };

	while (read_request(&q) == 0) {
		struct image_error e;
		int code = run(&q, &e);

		if (code)
			printf("error %d %s\n", code, e.text);
		fflush(stdout);
		image_free(&q.image);
		free(q.bytes);
		q = (struct request){ 0 };
	}
	free(q.bytes);
	return 0;
}
