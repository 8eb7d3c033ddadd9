/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How the cores (affinity, cgroup quota) are divided among models, workers and their threads. Pure;
 * whatever is divided, there is one of it at least. */

/* Workers of a model that leaves their number to us, where one does best with so many threads, and
 * so many models share the cores. */
unsigned cores_workers(unsigned cores, unsigned models, unsigned threads);
/* Threads of each of all workers there are. */
unsigned cores_threads(unsigned cores, unsigned workers);
