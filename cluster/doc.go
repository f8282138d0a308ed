// Package cluster says which node serves a partition.
//
// It owns placement: today [Single], one node that serves everything; the seam
// for many nodes is [Placement]. A placement is a cached guess and decides
// nothing: a command that reaches the wrong node, or two nodes that both
// believe to be the owner, cost a hop or a retry, because only the log's
// expected sequence decides what is stored.
//
// It knows no actor, no event and no log, and imports no other package of
// this module. Package cluster/embedded holds the NATS server that a
// developer's single process runs in itself.
package cluster
