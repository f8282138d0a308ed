// Package jetstream keeps the log and the snapshots of a namespace in NATS
// JetStream: one stream for the events, or several and one that sources them, and
// one key-value bucket for the snapshots. Beside it is the key store of the
// namespace's personal data, in a stream that can forget.
//
// It is the only package that knows subjects, headers, stream settings and
// error codes. It never folds an event, never decides about a domain and never
// creates a consumer to load a stream; a consumer is made only by [Log.Follow],
// one for a whole log that has several log streams, and by who lists or follows
// [Keys].
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
