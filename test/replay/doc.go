// Package replay measures how fast a view is built from a log, beside a consumer
// that reads the same stream and does nothing with it.
//
// It owns the two stopwatches and how their rates are reported. It never makes a
// log, and never judges a rate.
package replay
