package gateway_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// keylessLog is one whose node lacks the current wrapping key.
type keylessLog struct {
	*store.Memory
	appends atomic.Int32
}

func (l *keylessLog) Append(_ context.Context, c *store.Commit) (store.Head, error) {
	l.appends.Add(1)
	return store.Head{}, &store.RefusedError{Stream: c.Stream, Reason: &privacy.WrappingError{Name: "k2"}}
}

// What waits for an operator is not sent again within seconds: the answer says when, and a client without the time
// for that stops at once.
func TestALackingWrappingKeyIsNotRetriedSoon(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	log := &keylessLog{Memory: store.NewMemory(store.MemoryConfig{})}
	system, err := actor.NewSystem(actor.Config{Log: log, Snapshots: log.Memory, Aggregates: []actor.Definition{accounts}, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	run(t, system.Run)
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: system, Partitions: log.Partitions()})
	ctx, cancel := context.WithTimeout(t.Context(), soon/2)
	defer cancel()
	_, err = newClient(t, connect(t, s)).Send(ctx, gateway.Request{Stream: store.StreamID{Type: "account", ID: "a"}, Name: "open", Body: []byte(`{"owner":"Ann"}`), Codec: store.JSON})
	e, is := errors.AsType[*gateway.Error](err)
	if !is || e.Code != gateway.CodeUnavailable || !e.Retryable || e.RetryAfter() != time.Minute || !strings.Contains(e.Description, `wrapping key "k2"`) {
		t.Errorf("%+v: %v", e, err)
	}
	if n := log.appends.Load(); n != 1 || ctx.Err() != nil {
		t.Errorf("tried %d times until %v, want once and at once", n, ctx.Err())
	}
}
