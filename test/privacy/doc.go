// Package privacy tries forgetting on the whole of what writes: actors, a log and
// snapshots that seal, a view, and their keys, in memory and in an order that a seed decides.
//
// It owns the races of forgetting with everything else that happens to a stream. It never
// tests one part alone: the packages do that.
package privacy
