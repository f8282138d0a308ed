// Package cluster says which node serves what, and makes sure that two never
// do at the same time.
//
// It owns membership, placement, leases and hand-over. Nodes announce
// themselves in a directory, a JetStream key-value bucket; [Place] computes,
// equally on every node, who should serve each partition; a node that should
// claims it there by compare-and-set, and one that should no longer finishes
// what it has begun and writes its heir's name in the same place. [Cluster]
// does that for one node, [Admin] looks and changes wishes from outside, and
// [Single] stands for a system that has one node and needs none of it.
//
// A placement decides nothing about what is stored: two nodes that both
// believed to be the owner would cost a retry, because only the log's expected
// sequence decides. What the leases add is that answers from memory, such as a
// rejection, are right too.
//
// It knows no actor, no event and no log, and imports no other package of
// this module; what ownership is about is done by a [Handler]. Package
// cluster/embedded holds the NATS server that a developer's single process
// runs in itself.
package cluster
