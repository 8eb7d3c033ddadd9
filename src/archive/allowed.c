/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/allowed.h"

#include <regex.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/slice.h"
#include "base/util.h"

#define URL_FILE_NAME_MAX 200

static bool url_matches(const char *pattern, const char *url)
{
	_cleanup_(freep) char *whole = mem_printf("^(%s)$", pattern);
	regex_t re;
	bool match;

	if (regcomp(&re, whole, REG_EXTENDED | REG_ICASE | REG_NOSUB))
		return false;
	match = regexec(&re, url, 0, NULL, 0) == 0;
	regfree(&re);
	return match;
}

bool url_allowed(const char *patterns, const char *url)
{
	struct slice rest = slice_str(patterns);

	while (rest.p) {
		_cleanup_(freep) char *pattern = slice_dup(slice_trim(slice_cut(&rest, ',')));

		if (*pattern && url_matches(pattern, url))
			return true;
	}
	return false;
}

char *url_file_name(const char *url)
{
	struct slice rest = slice_str(url), path = slice_cut(&rest, '#');
	struct slice name = SLICE_NULL;

	path = slice_cut(&path, '?');
	slice_cut(&path, '/'); /* scheme: */
	slice_cut(&path, '/');
	slice_cut(&path, '/'); /* host */
	while (path.p)
		name = slice_cut(&path, '/');
	if (!name.n || name.n > URL_FILE_NAME_MAX || name.p[0] == '.')
		return NULL;
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || name.p[i] == '\\' || name.p[i] == 127)
			return NULL;
	return slice_dup(name);
}
