/* SPDX-License-Identifier: Apache-2.0 */

/* Prints docs/settings.md; a build tool, not installed. */
#include <stdio.h>

#include "config/settings.h"

int main(void)
{
	_cleanup_(buf_finish) struct buf page = BUF_INIT(1 << 20);

	settings_write_markdown(&page);
	return fwrite(page.p, 1, page.n, stdout) == page.n && fflush(stdout) == 0 ? 0 : 1;
}
