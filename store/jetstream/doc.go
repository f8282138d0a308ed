// Package jetstream keeps the log and the snapshots of a namespace in NATS
// JetStream: one stream for the events, or several and one that sources them, and
// one key-value bucket for the snapshots.
//
// It is the only package that knows subjects, headers, stream settings and
// error codes. It never folds an event, never decides about a domain and never
// creates a consumer to load a stream; a consumer is made only by [Log.Follow],
// and one for a whole log that has several log streams.
//
//	log, err := jetstream.Open(ctx, jetstream.Config{Conn: nc, Namespace: "loans"})
//	if err != nil {
//		return err
//	}
//	defer log.Close()
//	head, err := log.Append(ctx, commit)
//
// DESIGN.md beside this file says what was decided and why.
package jetstream
