// Package hostile owns the tests of a node as its enemies see it: whatever bytes they
// send it over NATS and over HTTP, and a tenant who would like to see, or to slow
// down, another.
//
// It runs the node of an application in this process, with a server of its own, and
// never looks into it: what it knows comes over the wire, and from the server's own
// account of what is stored.
package hostile
