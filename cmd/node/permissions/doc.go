// Package permissions works out what the NATS users of a namespace may do: for each role what it needs, and
// nothing else.
//
// It owns the roles, the subjects that each publishes and subscribes to, and how that is written for a server
// or for nsc. It asks no server, checks no request, and knows nobody's password: of a user it has the public
// key, and makes the seed in a file if it is told where.
package permissions
