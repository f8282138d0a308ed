package kv_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
)

// until waits for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("waited a minute until %s", what)
		}
	}
}

// A view of three workers is built again beside the model that is served, and
// switched, while the log grows. Then it moves to another group, whose registry
// is another one on the same bucket; and what nobody needs any more is dropped.
func TestRebuildBetweenTwoGroups(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	view := viewBy("tallies", byEmployee)
	view.Workers = 3
	var nodes []*node
	for range 2 {
		n := &node{conn: connect(t, server, silent)}
		n.log = &countingLog{Log: openReplicated(t, n.conn, 1)}
		cfg := kv.Config{Conn: n.conn, Namespace: "app", Barrier: server.Barrier()}
		n.Group = newGroup(t, projector.Config{
			Log: n.log, Store: kv.New(cfg), Registry: kv.NewRegistry(cfg), Projections: []projector.Definition{view}, Logger: quiet,
			Assigned: n.Assigned, Reassigned: n.Reassigned,
		})
		runUntilEnd(t, n.Group)
		nodes = append(nodes, n)
	}
	one, other := nodes[0], nodes[1]
	one.Assign("tallies")
	for i := range 50 {
		if err := appendStream(one.log, fmt.Sprintf("first-%d", i), i, 4); err != nil {
			t.Fatal(err)
		}
	}
	one.caughtUp(t)
	grown := make(chan error, 1)
	go func() {
		for i := range 500 {
			if err := appendStream(other.log, fmt.Sprintf("then-%d", i), i, 2); err != nil {
				grown <- err
				return
			}
		}
		grown <- nil
	}()
	made, err := one.Rebuild(t.Context(), "tallies", projector.Rebuild{Online: true, Parity: -1, Switch: true})
	if err != nil || made.Build != 1 {
		t.Fatalf("rebuild: %v, %v", made, err)
	}
	live := func(n *node) (build int, parity *projector.Parity) {
		for _, s := range n.Status(t.Context()) {
			if s.Role == projector.RoleLive {
				return s.Build, s.Parity
			}
		}
		return -1, nil
	}
	if err := <-grown; err != nil {
		t.Fatal(err)
	}
	until(t, "the new build is live", func() bool { build, _ := live(one); return build == 1 })
	if _, parity := live(one); parity == nil || parity.Differences != 0 || parity.Compared == 0 {
		t.Errorf("parity is %+v", parity)
	}
	one.Withdraw("tallies")
	if err := one.Stopped(t.Context(), "tallies"); err != nil {
		t.Fatal(err)
	}
	other.Assign("tallies")
	other.caughtUp(t)
	if build, _ := live(other); build != 1 {
		t.Errorf("the other group serves build %d", build)
	}
	tip, err := other.log.Tip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	docs, _ := plainFold(t, other.log, view, tip)
	if diff := cmp.Diff(docs, readAll(t, other.Group, "tallies", tip)); diff != "" {
		t.Errorf("documents (-want +got):\n%.2000s", diff)
	}
	until(t, "the old model can be retired", func() bool { return other.Retire(t.Context(), "tallies") == nil })
	js, err := jetstream.New(other.conn)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the old model is dropped", func() bool {
		_, err := js.Stream(t.Context(), "KV_ANNALS_app_view_tallies_v1")
		return errors.Is(err, jetstream.ErrStreamNotFound)
	})
}
