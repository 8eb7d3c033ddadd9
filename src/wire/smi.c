/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/smi.h"

#include <stddef.h>

#include "base/util.h"

#define SMI_INDEX_MAX 65535
#define SMI_ABSENT (-1)

enum smi_column {
	SMI_INDEX,
	SMI_UUID,
	SMI_BUSY,
	SMI_MEMORY_BUSY,
	SMI_MEMORY_USED,
	SMI_MEMORY_TOTAL,
	SMI_COLUMNS
};

static const struct slice smi_names[SMI_COLUMNS] = {
	[SMI_INDEX] = SLICE_CONST("index"),
	[SMI_UUID] = SLICE_CONST("uuid"),
	[SMI_BUSY] = SLICE_CONST("utilization.gpu"),
	[SMI_MEMORY_BUSY] = SLICE_CONST("utilization.memory"),
	[SMI_MEMORY_USED] = SLICE_CONST("memory.used"),
	[SMI_MEMORY_TOTAL] = SLICE_CONST("memory.total"),
};

static const size_t smi_fields[SMI_COLUMNS] = {
	[SMI_UUID] = offsetof(struct smi_gpu, uuid),
	[SMI_BUSY] = offsetof(struct smi_gpu, busy),
	[SMI_MEMORY_BUSY] = offsetof(struct smi_gpu, memory_busy),
	[SMI_MEMORY_USED] = offsetof(struct smi_gpu, memory_used),
	[SMI_MEMORY_TOTAL] = offsetof(struct smi_gpu, memory_total),
};

struct smi_layout {
	int at[SMI_COLUMNS]; /* which field of a row; SMI_ABSENT */
};

static struct slice smi_field(struct slice row, int n)
{
	struct slice field = SLICE_NULL;

	for (int i = 0; i <= n; i++) {
		if (!row.p)
			return SLICE_NULL;
		field = slice_cut(&row, ',');
	}
	return slice_trim(field);
}

/* "3", "card3", "GPU 3: NVIDIA A100 (UUID: …)". */
static bool smi_number(struct slice s, unsigned *ret)
{
	uint64_t n;

	if (slice_istarts(s, SLICE("card")))
		s = slice_make(s.p + 4, s.n - 4);
	else if (slice_istarts(s, SLICE("GPU ")))
		s = slice_cut(&(struct slice){ s.p + 4, s.n - 4 }, ':');
	if (!slice_u64(s, &n) || n > SMI_INDEX_MAX)
		return false;
	*ret = (unsigned)n;
	return true;
}

/* A title may name a unit: "memory.used [MiB]". */
static void smi_read_titles(struct smi_layout *l, struct slice row)
{
	for (int i = 0; row.p; i++) {
		struct slice title = slice_trim(slice_cut(&row, ','));

		title = slice_cut(&title, ' ');
		for (int c = 0; c < SMI_COLUMNS; c++)
			if (slice_ieq(title, smi_names[c]))
				l->at[c] = i;
	}
}

/* Rows that say how busy a GPU is, but not which one, come in order. */
static bool smi_is_in_order(const struct smi_layout *l)
{
	return l->at[SMI_INDEX] == SMI_ABSENT && l->at[SMI_BUSY] != SMI_ABSENT;
}

static void smi_read_row(const struct smi_layout *l, struct slice row, struct smi_gpu *out)
{
	for (int c = SMI_UUID; c < SMI_COLUMNS; c++)
		if (l->at[c] != SMI_ABSENT)
			*(struct slice *)(void *)((char *)out +
						  smi_fields[c]) = smi_field(row, l->at[c]);
}

unsigned smi_parse(struct slice text, struct smi_gpu *out, unsigned max)
{
	struct smi_layout layout = { { SMI_ABSENT, SMI_ABSENT, SMI_ABSENT, SMI_ABSENT, SMI_ABSENT,
				       SMI_ABSENT } };
	bool titles = false;
	unsigned n = 0;

	while (text.p && n < max) {
		struct slice row = slice_cut(&text, '\n');
		struct smi_gpu gpu = { .index = n };

		if (row.n && row.p[row.n - 1] == '\r')
			row.n--;
		if (!slice_trim(row).n)
			continue;
		if (!smi_is_in_order(&layout) &&
		    !smi_number(smi_field(row, MAX(layout.at[SMI_INDEX], 0)), &gpu.index)) {
			if (!titles)
				smi_read_titles(&layout, row);
			titles = true;
			continue;
		}
		smi_read_row(&layout, row, &gpu);
		out[n++] = gpu;
	}
	return n;
}
