/* SPDX-License-Identifier: Apache-2.0 */
#include "base/curl.h"

#include <dlfcn.h>

/* Any of Debian's flavours will do: they differ in the library behind TLS. */
static const char *const curl_names[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };

#define CURL_NAME(name) { "curl_" #name, offsetof(struct curl, name) },
static const struct {
	const char *name;
	size_t offset;
} curl_symbols[] = { CURL_FUNCTIONS(CURL_NAME) };
#undef CURL_NAME

static bool curl_resolve(void *library, struct curl *c)
{
	for (size_t i = 0; i < ARRAY_LEN(curl_symbols); i++) {
		void *symbol = dlsym(library, curl_symbols[i].name);

		if (!symbol)
			return false;
		memcpy((char *)c + curl_symbols[i].offset, &symbol, sizeof(symbol));
	}
	return true;
}

const struct curl *curl_load(struct buf *why)
{
	static struct curl loaded;
	static bool ready;

	for (size_t i = 0; i < ARRAY_LEN(curl_names) && !ready; i++) {
		void *library = dlopen(curl_names[i], RTLD_NOW | RTLD_LOCAL);

		ready = library && curl_resolve(library, &loaded) &&
			loaded.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
		if (library && !ready)
			dlclose(library);
	}
	if (!ready)
		buf_puts(why, "libcurl, which this needs, was not found: install it "
			      "(Debian: libcurl4)");
	return ready ? &loaded : NULL;
}
