/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cores.h"

#include "base/util.h"

static unsigned cores_divide(unsigned cores, unsigned among)
{
	return MAX(cores / MAX(among, 1), 1);
}

unsigned cores_workers(unsigned cores, unsigned models, unsigned threads)
{
	return cores_divide(cores_divide(cores, models), threads);
}

unsigned cores_threads(unsigned cores, unsigned workers)
{
	return cores_divide(cores, workers);
}
