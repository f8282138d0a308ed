// Package bench measures this build beside raw JetStream, or beside itself
// without what is in question, in the same process, on the same servers and in
// turns, so that a ratio holds while the machine's speed drifts.
//
// It owns the scenarios, the raw client they are compared with, and the
// command "bench". It is never part of what it measures, and prints no figure
// that it did not measure in that run.
package bench
