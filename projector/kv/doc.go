// Package kv keeps read models in NATS KV: one bucket for each version of a
// view, one key for each document, its value the document as plain JSON, so
// that `nats kv get` shows it.
//
// It owns the layout of a bucket (keys, headers, the stream's settings) and how
// documents and checkpoint are stored together: as one atomic batch with an
// expectation on the checkpoint, so that a writer whose view was taken over
// writes nothing at all.
//
// It never knows what a document means, follows no log and runs nothing: the
// one subscription it keeps receives the answers to its own requests.
package kv
