// Package store is the vocabulary of the log and the contracts that keep it:
// streams, commits, events, versions, positions, wire types and snapshots.
//
// It owns what is written (the layout of a [Commit], the hash chain, the
// encoding of ids) and what a log promises ([Log], [Snapshots]). It holds one
// implementation, [Memory], for tests and for throw-away data; the one that
// keeps data is package store/jetstream.
//
// It never decides anything about a domain, never runs an aggregate or a
// projection, knows no node and no network, and imports no other package of
// this module.
//
// The log decides; everything else is a cache.
package store
