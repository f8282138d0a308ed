// Package servers is what a node demands of the NATS servers before it starts on
// them.
//
//	r := servers.Requirements{Conn: conn, Namespace: "bank", Version: conn.ConnectedServerVersion(), Promise: servers.Replicated, Copies: 3, Logger: logger}
//	has, err := r.Check(ctx)
//
// It owns the promises of durability, how many copies each takes and what it can
// lose all the same, and how it is seen that servers keep one: their version,
// JetStream, copies, and whether they sync before they acknowledge.
//
// It never creates or changes anything on a server, and believes nobody what a server
// itself can be asked.
package servers
