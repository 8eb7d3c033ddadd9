/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What HTTP calls mean: routes, arguments, errors, and the way from a body to a `struct request`
 * and back. One `struct call` per HTTP request; it outlives its exchange when the client leaves
 * while a worker is busy with it. Loop thread only.
 */

#include "fleet/fleet.h"
#include "fleet/register.h"
#include "net/net.h"

/* What a listener answers. Listeners on one address have several roles. */
enum api_role {
	API_INFERENCE = 1 << 0,
	API_MANAGEMENT = 1 << 1,
	API_METRICS = 1 << 2,
	API_CONSOLE = 1 << 3, /* beside API_MANAGEMENT */
	API_ALL = API_INFERENCE | API_MANAGEMENT | API_METRICS,
};

/* The TorchServe whose API this is. */
#define API_TORCHSERVE_VERSION "0.12.0"

struct api;

/* A listener's handler: give &door->handler to net_listen(). */
struct api_door {
	struct exchange_handler handler;
	struct api *api;
	unsigned roles;
};

struct tokens;
struct ready;

/* `fleet` and `tokens` (NULL: everybody may call) must outlive the API. */
struct api *api_create(struct fleet *fleet, struct tokens *tokens);
struct api *api_destroy(struct api *a);
/* Models are being loaded that were asked for at the start: until they are known calls that need
 * one wait, and /ping is not healthy. */
void api_starts(struct api *a);
void api_started(struct api *a);
/* The server stops: who still waits for that is told so. */
void api_stops(struct api *a);
/* Where start-up says what it could not load. */
struct ready *api_ready(struct api *a);
/* Whose connections /metrics tells of. */
void api_counts(struct api *a, const struct net *net);
/* Fills in a door. */
void api_door_init(struct api_door *d, struct api *a, unsigned roles);
