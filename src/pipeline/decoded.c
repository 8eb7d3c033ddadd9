/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/request.h"

/* Pictures that image/ does not read, or not to their end: whoever the host knows may. */

int image_code(int code)
{
	return code == IMAGE_NO_MEMORY ? SCONCE_NO_MEMORY : SCONCE_BAD_INPUT;
}

/* Is what image/ has said the better answer? Of what it knows it has said what is wrong; and what
 * nobody here knows is the client's fault, but for handlers, which do not run without Pillow. */
static bool is_told(const struct pipeline_run *run, struct slice bytes, int r)
{
	return image_is_known(bytes.p, bytes.n) || (r == PIPELINE_LACKS && !run->p->is_handler);
}

int decoded_elsewhere(const struct step *s, const struct pipeline_run *run, struct slice bytes,
		      unsigned mode, int code, const struct image_error *why, struct image *ret,
		      uint8_t *ret_orientation, struct sconce_error *e)
{
	const struct pipeline_decoder *d = run->request->decoder;
	struct sconce_error other = { "" };
	int r;

	if (!d || code == IMAGE_NO_MEMORY)
		return step_fail(e, s, image_code(code), "%.250s", why->text);
	r = d->decode(d, bytes, mode, request_limits(run).pixels, ret, ret_orientation, &other);
	if ((r == PIPELINE_LACKS || r == SCONCE_BAD_INPUT) && is_told(run, bytes, r))
		return step_fail(e, s, image_code(code), "%.250s", why->text);
	if (r == PIPELINE_LACKS)
		*e = other;
	else if (r < 0)
		step_fail(e, s, r, "%.900s", other.text);
	return r;
}
