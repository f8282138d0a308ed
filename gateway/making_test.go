package gateway_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// makes is a maker of one view's buckets.
type makes struct {
	mu   sync.Mutex
	made []projector.Model
}

func (m *makes) Make(_ context.Context, model projector.Model) error {
	if model.View != "totals" {
		return &store.InvalidError{What: "view", Value: model.View, Reason: "none of ours"}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made = append(m.made, model)
	return nil
}

// A node has another make what keeps a model. Nobody else may ask for it, and what is made stands in no request.
func TestANodeMakesForAnother(t *testing.T) {
	t.Parallel()
	s, r, m := startServer(t), newRoster("a"), &makes{}
	startNode(t, s, r, "a", &fakeActors{}, func(c *gateway.Config) { c.Maker = m })
	b := startNode(t, s, r, "b", &fakeActors{})
	if err := b.AskMake(t.Context(), "a", projector.Model{View: "totals", Version: 2, Build: 7}); err != nil {
		t.Fatal(err)
	}
	for node, want := range map[string]error{"b": store.ErrInvalid, "c": nats.ErrNoResponders} {
		if err := b.AskMake(t.Context(), node, projector.Model{View: "totals", Version: 1}); !errors.Is(err, want) {
			t.Errorf("node %s: %v, want %v", node, err, want)
		}
	}
	for _, view := range []string{"", "x", "a.b", ">"} {
		if err := b.AskMake(t.Context(), "a", projector.Model{View: view, Version: 1}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("view %q: %v", view, err)
		}
	}
	nc := connect(t, s)
	for _, subject := range []string{"bank.ctl.projection.make", "bank.as.ann.ctl.projection.make", "bank.as.ann.node.a.ctl.projection.make"} {
		if _, err := nc.Request(subject, []byte(`{"view":"totals","version":1}`), soon); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("%s: %v", subject, err)
		}
	}
	body := `{"view":"totals","version":1,"republish":{"src":">","dest":"bank.evt.1.x.y"}}`
	if got := request(t, nc, "bank.node.a.ctl.projection.make", body); status(t, got) != 400 {
		t.Errorf("settings in a request: %s", got.Data)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if diff := cmp.Diff([]projector.Model{{View: "totals", Version: 2, Build: 7}}, m.made); diff != "" {
		t.Error(diff)
	}
}
