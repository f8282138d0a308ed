package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// aloneSession is where a node answers that serves its namespace alone. It is no
// session: those are longer.
const aloneSession = "alone"

// aloneWait bounds the wait for its answer: who is there answers at once.
const aloneWait = 5 * time.Second

// AloneError says that a node serves a namespace alone, which therefore no other
// can join: both would do the same work. It matches [ErrAlone].
type AloneError struct {
	// Namespace is the one that is served, Node the name of the node.
	Namespace, Node string
}

// Error names the node.
func (e *AloneError) Error() string {
	return fmt.Sprintf("namespace %s: %s: %s", e.Namespace, ErrAlone, e.Node)
}

// Unwrap returns [ErrAlone].
func (e *AloneError) Unwrap() error { return ErrAlone }

// ServeAlone has a node that joins no cluster be known to those that would, for as
// long as the connection is open. It returns when the server knows of it.
func ServeAlone(conn *nats.Conn, namespace, node string) error {
	b := &natsBucket{conn: conn}
	_, err := b.subscribe(pingSubject(namespace, aloneSession), func(m *nats.Msg) { _ = m.Respond([]byte(node)) })
	if err != nil {
		return fmt.Errorf("serve %s alone: %w: %w", namespace, ErrUnavailable, err)
	}
	return nil
}

// CheckAlone returns an [*AloneError] if a node serves the namespace alone, and nil
// if certainly none does. Every other error matches [ErrUnavailable].
func CheckAlone(ctx context.Context, conn *nats.Conn, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, aloneWait)
	defer cancel()
	answer, err := conn.RequestWithContext(ctx, pingSubject(namespace, aloneSession), nil)
	switch {
	case err == nil:
		return &AloneError{Namespace: namespace, Node: fmt.Sprintf("%.64s", answer.Data)}
	case errors.Is(err, nats.ErrNoResponders):
		return nil
	}
	return fmt.Errorf("look who serves %s: %w: %w", namespace, ErrUnavailable, err)
}
