// Package spread owns the test of a view whose workers run on several nodes: three
// servers and three nodes, each a process, of which one is killed and another built
// again under load.
//
// It never looks into a node: all that it knows it is told as any client is, or reads
// in the log and in the directory.
package spread
