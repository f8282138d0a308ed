// Package storetest holds the cases that every log and every snapshot store
// must pass, and the faults that they must survive.
//
// [Run] is given a [Harness] that opens fresh stores. A store that can be made
// to lie offers its [Faults]; what it cannot do is skipped with the reason, so
// that a run says what it did not show. [Lossy] makes any log lie, for tests of
// whatever stands on one.
//
// It never starts a server: whoever calls Run brings the store.
package storetest
