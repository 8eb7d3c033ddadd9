/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/kit.h"

/*
 * Threads beside a run help as long as there are processors for them. Whether there are is nobody's
 * to say, as other models and other programs come and go. So both ways are timed: the faster one is
 * taken, and now and then the other one, to see whether that is still so. And where wide runs wait
 * for processors they are not faster but in each other's way, two models' say, each of which would
 * be slower still if it alone gave in: then none is wide.
 */

#define CHOICE_TRIES 8       /* of the wide one at first, as the first runs of anything are slow */
#define CHOICE_WIDE_AGAIN 32 /* runs, until the other one is tried */
#define CHOICE_NARROW_AGAIN 128
#define CHOICE_GAIN 8 /* a part of the time that must be gained, for the processors it takes */
#define CHOICE_WAIT 8 /* a part of the time; a run that waits longer is crowded */
#define CHOICE_ALL 256

bool kit_choice_wide(struct kit_choice *c)
{
	bool wide = c->wide_ns < c->narrow_ns - c->narrow_ns / CHOICE_GAIN &&
		    c->crowded < CHOICE_ALL / 2;

	if (c->tries < CHOICE_TRIES) {
		c->tries++;
		return true;
	}
	if (++c->since < (wide ? CHOICE_NARROW_AGAIN : CHOICE_WIDE_AGAIN))
		return wide;
	c->since = 0;
	return !wide;
}

void kit_choice_took(struct kit_choice *c, bool wide, uint64_t ns, uint64_t waited_ns)
{
	uint64_t *known = wide ? &c->wide_ns : &c->narrow_ns;

	/* What disturbs a run makes it longer, so shorter ones are believed at once. */
	if (!*known || ns < *known)
		*known = ns;
	else
		*known += (ns - *known < *known ? ns - *known : *known) / 8;
	if (wide)
		c->crowded = (c->crowded * 3 + (waited_ns > ns / CHOICE_WAIT ? CHOICE_ALL : 0)) / 4;
}
