/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What goes wrong, as one sentence for a person and a kind for the host. */

#include <cstdarg>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <string>

#include <c10/util/Exception.h>
#include <sconce/engine.h>

namespace shim
{

/* Ours, with the number that the host gets. */
struct problem : std::runtime_error {
	int code;

	problem(const std::string &text, int as = -1) : std::runtime_error(text), code(as)
	{
	}
};

inline void log(const struct sconce_host *host, int level, const std::string &line)
{
	if (SCONCE_HAS(host, log) && host->log)
		host->log(host, level, line.c_str());
}

/* "RuntimeError: mat1 and mat2 …" and the like, which come last where a script has failed. */
inline bool names_an_error(const std::string &line, size_t *ret_text)
{
	size_t colon = line.find(": ");

	if (colon == std::string::npos || line.find_first_of(" /(\"") < colon ||
	    (line.compare(colon < 5 ? 0 : colon - 5, 5, "Error") != 0 &&
	     line.compare(colon < 9 ? 0 : colon - 9, 9, "Exception") != 0))
		return false;
	*ret_text = colon + 2;
	return true;
}

/* Of the several lines that torch writes, the one that says what is wrong. */
inline std::string sentence(const std::string &text)
{
	std::string first, last;

	for (size_t from = 0; from < text.size();) {
		size_t to = std::min(text.find('\n', from), text.size()), at;
		std::string line = text.substr(from, to - from);

		if (names_an_error(line, &at))
			last = line.substr(at);
		if (first.empty() && line.find_first_not_of(" \t\r") != std::string::npos)
			first = line;
		from = to + 1;
	}
	return last.empty() ? first : last;
}

/* Is it what a client has sent? Torch has one kind of error for everything. */
inline bool blames_input(const std::string &text)
{
	static const char *const words[] = {
		"shape",      "size",  "dimension",          "Expected ",
		"expected ",  "dtype", "index out of range", "out of bounds",
		"same dtype",
	};

	for (const char *word : words)
		if (text.find(word) != std::string::npos)
			return true;
	return false;
}

inline int put(struct sconce_error *e, const std::string &text, int code)
{
	snprintf(e->text, sizeof(e->text), "%s", text.empty() ? "it failed" : text.c_str());
	for (char *c = e->text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	return code;
}

/* Runs what may throw; 0, or negative with a sentence. Only for runs may a client be to blame. */
template <typename work> int guarded(struct sconce_error *e, bool is_run, work &&f)
{
	std::string text;

	try {
		f();
		return 0;
	} catch (const problem &p) {
		return put(e, p.what(), p.code);
	} catch (const std::bad_alloc &) {
		return put(e, "out of memory", -12);
	} catch (const c10::OutOfMemoryError &error) {
		return put(e, sentence(error.what_without_backtrace()), -12);
	} catch (const c10::Error &error) {
		text = sentence(error.what_without_backtrace());
	} catch (const std::exception &error) {
		text = sentence(error.what());
	} catch (...) {
		text = "it threw something that is no exception";
	}
	if (text.find("not enough memory") != std::string::npos)
		return put(e, text, -12);
	return put(e, text, is_run && blames_input(text) ? SCONCE_BAD_INPUT : -1);
}

} /* namespace shim */
