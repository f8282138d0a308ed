package gateway_test

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// live is one view that changes as a test says, wherever it runs.
type live struct {
	mu       sync.Mutex
	log      []projector.Document // every change
	changed  chan struct{}
	switched int
	watchers int
}

func newLive() *live { return &live{changed: make(chan struct{})} }

func (l *live) wake(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

// put changes a document; an empty text deletes it.
func (l *live) put(key, text string) {
	l.wake(func() {
		d := projector.Document{Key: key, Position: store.Position(len(l.log) + 1)}
		if text != "" {
			d.Document = json.RawMessage(strconv.Quote(text))
		}
		l.log = append(l.log, d)
	})
}

// rebuild has another model served.
func (l *live) rebuild() { l.wake(func() { l.switched++ }) }

func (l *live) tip() store.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return store.Position(len(l.log))
}

func (l *live) watching() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.watchers
}

func latest(log []projector.Document, wanted func(projector.Document) bool) map[string]string {
	docs := map[string]string{}
	for _, d := range log {
		if !wanted(d) {
			continue
		}
		if docs[d.Key] = string(d.Document); d.Document == nil {
			delete(docs, d.Key)
		}
	}
	return docs
}

func modelName(switched int) string {
	return projector.Model{View: "totals", Version: 1 + switched}.String()
}

// watchable is a node's side of a live view.
type watchable struct {
	*wandering
	live *live
}

func (w watchable) Watch(ctx context.Context, view string, want projector.Watch) iter.Seq2[projector.Document, error] {
	return func(yield func(projector.Document, error) bool) {
		l := w.live
		l.wake(func() { l.watchers++ })
		defer l.wake(func() { l.watchers-- })
		l.mu.Lock()
		switched := l.switched
		l.mu.Unlock()
		if err := w.check(view); err == nil && want.After > 0 && want.Model != "" && want.Model != modelName(switched) {
			yield(projector.Document{}, projector.ErrSwitched)
			return
		}
		for at := int(want.After); ; {
			l.mu.Lock()
			news, more, now := l.log[at:], l.changed, l.switched
			l.mu.Unlock()
			err := w.check(view)
			if err == nil && now != switched {
				err = projector.ErrSwitched
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(projector.Document{}, err)
				return
			}
			for i, d := range news {
				again := slices.ContainsFunc(news[i+1:], func(n projector.Document) bool { return n.Key == d.Key })
				if !again && (want.Key == "" || want.Key == d.Key) && strings.HasPrefix(d.Key, want.Prefix) && !yield(d, nil) {
					return
				}
			}
			at += len(news)
			if !yield(projector.Document{Position: store.Position(at), Model: modelName(switched)}, nil) {
				return
			}
			select {
			case <-more:
			case <-ctx.Done():
			}
		}
	}
}

// stage is a live view that runs on one of two nodes.
type stage struct {
	*live
	server *server.Server
	roster *roster
	nodes  map[string]*node
	views  map[string]watchable
}

func newStage(t testing.TB, change ...func(*gateway.Config)) *stage {
	t.Helper()
	s := &stage{live: newLive(), server: startServer(t), roster: newRoster("a"), nodes: map[string]*node{}, views: map[string]watchable{}}
	for _, name := range []string{"a", "b"} {
		w := watchable{newWandering(name, "totals"), s.live}
		s.views[name] = w
		s.nodes[name] = startNode(t, s.server, s.roster, name, &fakeActors{}, append(change, func(c *gateway.Config) { c.Views, c.Watches = w, w })...)
	}
	s.move("b")
	return s
}

// move has the view run on a node.
func (s *stage) move(node string) {
	for name, v := range s.views {
		v.run("totals", name == node)
	}
	s.roster.run("totals", node)
	s.wake(func() {})
}

// ask asks for a watch as a stranger would, and returns what arrives.
func (s *stage) ask(t testing.TB, subject, body string) *nats.Subscription {
	t.Helper()
	nc := connect(t, s.server)
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest(subject, inbox, []byte(body)); err != nil {
		t.Fatal(err)
	}
	return sub
}

func next(t testing.TB, sub *nats.Subscription) *nats.Msg {
	t.Helper()
	m, err := sub.NextMsg(soon)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
