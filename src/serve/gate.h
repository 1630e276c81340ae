/* SPDX-License-Identifier: Apache-2.0 */
/* A gate holds a listening socket for servers that come and go, so that the port of a container
 * outlives the containers that answer on it.
 *
 * The gate is a kourou-serve that serves nothing: it opens the port, and lends it over its control
 * socket. A server asks with the line "listener" and is answered with the descriptor; once it
 * accepts on it, it says "taken <instance>", and the gate tells the server that had it before to
 * "drain". Nobody who connects meanwhile is refused: the queue of the socket is the gate's. Either
 * side may be restarted: a server asks again when the gate has gone. */
#ifndef KR_SERVE_GATE_H
#define KR_SERVE_GATE_H

#include "base/err.h"
#include "serve/options.h"

struct kr_server;
struct kr_gate;

/* hold.c: the gate itself, until SIGTERM. */
int kr_hold(const struct kr_options *options, struct kr_err *err) KR_MUST_USE;

/* gate.c: the server's side. Asks for the socket, until there is one. */
void kr_gate_open(struct kr_server *srv);
void kr_gate_close(struct kr_server *srv);
/* A worker is ready: accepts as soon as the socket is there. */
void kr_gate_ready(struct kr_server *srv);

#endif
