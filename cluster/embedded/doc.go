// Package embedded runs a NATS server inside the process: one, for a
// developer's single process that keeps its data durably ([Start]), or three
// as a cluster, for tests and for trying a cluster out ([StartCluster]).
//
// It owns the server's settings and life, the lock on its directory, and the
// sync barrier that makes acknowledged writes survive a power cut
// ([Server.Barrier]). It is the only package that links a NATS server. It
// creates no stream and no bucket, and knows no actor, no event and no subject.
//
//	s, err := embedded.Start(embedded.Config{Dir: "data", Port: 4222})
//	…
//	defer s.Shutdown()
//	nc, err := s.Connect()
//	log, err := jetstream.Open(ctx, jetstream.Config{Conn: nc, Barrier: s.Barrier(), …})
package embedded
