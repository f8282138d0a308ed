// Package exchange takes events out of a log as lines of JSON, and puts such
// lines back into one: for moving streams between systems, for looking at a log
// with common tools, and for handing events to others as CloudEvents.
//
// It owns the two forms of a line ([JSONLines], [CloudEvents]), what JSON stands
// for an event that was stored in another encoding, and what an import refuses.
// What was exported is imported as it was: the same streams, versions, commits,
// ids, times and bytes.
//
// It never decodes into an application's types, never decides anything about a
// domain, never changes an event on its way, and never adds to a stream that
// holds other events.
package exchange
