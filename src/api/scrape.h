/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Gauges that are read off when somebody looks: the memory budget, the pool, the log. */

struct api;

void scrape_init(struct api *a);
