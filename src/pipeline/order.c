/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/order.h"

/*
 * torch.topk() takes std::partial_sort() where 64 k <= n, and otherwise std::nth_element() and
 * std::sort(). Both are written down here as GNU's library has them: heaps that sift a hole to the
 * bottom and then up, a pivot that is the median of three, and insertion at the end.
 */

#include <math.h>
#include <stdbool.h>

#define ORDER_SMALL 16 /* what insertion sorts as a whole */
#define ORDER_PARTIAL 64

static bool before(const struct ranked *a, const struct ranked *b)
{
	return (isnan(a->score) && !isnan(b->score)) || a->score > b->score;
}

static void swap(struct ranked *a, struct ranked *b)
{
	struct ranked t = *a;

	*a = *b;
	*b = t;
}

/* ---- a heap whose root comes last ---- */

static void sift_up(struct ranked *heap, size_t hole, size_t top, struct ranked v)
{
	size_t parent = (hole - 1) / 2;

	while (hole > top && before(&heap[parent], &v)) {
		heap[hole] = heap[parent];
		hole = parent;
		parent = (hole - 1) / 2;
	}
	heap[hole] = v;
}

static void sift_down(struct ranked *heap, size_t hole, size_t n, struct ranked v)
{
	size_t top = hole, child = hole;

	while (n > 1 && child < (n - 1) / 2) {
		child = 2 * (child + 1);
		if (before(&heap[child], &heap[child - 1]))
			child--;
		heap[hole] = heap[child];
		hole = child;
	}
	if (n % 2 == 0 && n && child == (n - 2) / 2) {
		child = 2 * (child + 1);
		heap[hole] = heap[child - 1];
		hole = child - 1;
	}
	sift_up(heap, hole, top, v);
}

static void heap_make(struct ranked *heap, size_t n)
{
	for (size_t i = n < 2 ? 0 : (n - 2) / 2 + 1; i--;)
		sift_down(heap, i, n, heap[i]);
}

static void heap_select(struct ranked *all, size_t n, size_t k)
{
	heap_make(all, k);
	for (size_t i = k; i < n; i++)
		if (before(&all[i], &all[0])) {
			struct ranked v = all[i];

			all[i] = all[0];
			sift_down(all, 0, k, v);
		}
}

static void heap_sort(struct ranked *heap, size_t n)
{
	while (n > 1) {
		struct ranked v = heap[--n];

		heap[n] = heap[0];
		sift_down(heap, 0, n, v);
	}
}

/* ---- cutting at a pivot ---- */

static void median_to_front(struct ranked *front, struct ranked *a, struct ranked *b,
			    struct ranked *c)
{
	if (before(a, b))
		swap(front, before(b, c) ? b : before(a, c) ? c : a);
	else
		swap(front, before(a, c) ? a : before(b, c) ? c : b);
}

/* The pivot is what lies before `from`. Returns where the second part begins. */
static size_t partition(struct ranked *all, size_t from, size_t to)
{
	const size_t pivot = from - 1;

	for (;; from++) {
		while (before(&all[from], &all[pivot]))
			from++;
		to--;
		while (before(&all[pivot], &all[to]))
			to--;
		if (from >= to)
			return from;
		swap(&all[from], &all[to]);
	}
}

static size_t cut(struct ranked *all, size_t from, size_t to)
{
	median_to_front(&all[from], &all[from + 1], &all[from + (to - from) / 2], &all[to - 1]);
	return partition(all, from + 1, to);
}

/* ---- insertion ---- */

/* Something before it stops it. */
static void insert_unguarded(struct ranked *at)
{
	struct ranked v = *at;

	for (; before(&v, at - 1); at--)
		*at = at[-1];
	*at = v;
}

static void insertion_sort(struct ranked *all, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct ranked v = all[i];

		if (!before(&v, &all[0])) {
			insert_unguarded(&all[i]);
			continue;
		}
		for (size_t k = i; k; k--)
			all[k] = all[k - 1];
		all[0] = v;
	}
}

static unsigned depth_max(size_t n)
{
	unsigned depth = 0;

	while (n >>= 1)
		depth++;
	return 2 * depth;
}

/* ---- what is made of these ---- */

static void nth_element(struct ranked *all, size_t n, size_t nth)
{
	unsigned depth = depth_max(n);
	size_t from = 0, to = n;

	while (to - from > 3) {
		size_t middle;

		if (!depth--) {
			heap_select(all + from, to - from, nth + 1 - from);
			swap(&all[from], &all[nth]);
			return;
		}
		middle = cut(all, from, to);
		if (middle <= nth)
			from = middle;
		else
			to = middle;
	}
	insertion_sort(all + from, to - from);
}

static void sort_roughly(struct ranked *all, size_t n, unsigned depth)
{
	while (n > ORDER_SMALL) {
		size_t middle;

		if (!depth--) {
			heap_make(all, n);
			heap_sort(all, n);
			return;
		}
		middle = cut(all, 0, n);
		sort_roughly(all + middle, n - middle, depth);
		n = middle;
	}
}

static void sort(struct ranked *all, size_t n)
{
	sort_roughly(all, n, depth_max(n));
	insertion_sort(all, n < ORDER_SMALL ? n : ORDER_SMALL);
	for (size_t i = ORDER_SMALL; i < n; i++)
		insert_unguarded(&all[i]);
}

void order_top(struct ranked *all, size_t n, size_t k)
{
	if (!k)
		return;
	if (k * ORDER_PARTIAL <= n) {
		heap_select(all, n, k);
		heap_sort(all, k);
		return;
	}
	nth_element(all, n, k - 1);
	sort(all, k - 1);
}
