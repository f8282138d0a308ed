package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Whoever has no more than NATS sees what is there and what changes, over any
// node, as JSON.
func TestAViewIsWatchedWithPlainMessages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.put("k/1", "old")
	s.put("k/2", "other")
	for _, subject := range []string{"bank.watch.totals.k=2F1", "bank.node.a.watch.totals.k=2F1", "bank.node.b.watch.totals.k=2F1"} {
		sub := s.ask(t, subject, "")
		s.put("k/1", "new")
		last := `"document":"new"`
		for seen := ""; !strings.Contains(seen, last); {
			seen = string(next(t, sub).Data)
		}
		s.put("k/2", "x")
		s.put("k/1", "")
		var m *nats.Msg
		for m = next(t, sub); strings.Contains(string(m.Data), "watch_progress"); m = next(t, sub) {
		}
		var got map[string]any
		if err := json.Unmarshal(m.Data, &got); err != nil {
			t.Fatal(err)
		}
		delete(got, "resume")
		delete(got, "sequence")
		if model := got["model"]; model != "totals_v1" {
			t.Errorf("%s: the model is %v", subject, model)
		}
		delete(got, "model")
		want := map[string]any{"type": "io.annals.api.v1.watch_change", "key": "k/1", "position": float64(s.tip()), "document": nil, "begun": true}
		if diff := cmp.Diff(want, got); diff != "" || m.Reply == "" {
			t.Errorf("%s: %s, the deletion (-want +got):\n%s", subject, m.Data, diff)
		}
	}
	eventually(t, "it was passed on", func() bool { return s.nodes["a"].forwarded(t, "query") > 0 })
}

func TestWatchesThatCannotBe(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(c *gateway.Config) { c.MaxWatches = 1 })
	for what, c := range map[string]struct {
		subject, body string
		want          gateway.Code
	}{
		"unknown view":     {"bank.watch.nothing.k", "", gateway.CodeUnknownView},
		"bad name":         {"bank.watch.Totals", "", gateway.CodeInvalid},
		"bad key":          {"bank.watch.totals.a=2fb", "", gateway.CodeInvalid},
		"large window":     {"bank.watch.totals", `{"window":4096}`, gateway.CodeInvalid},
		"unknown field":    {"bank.watch.totals", `{"windows":1}`, gateway.CodeInvalid},
		"negative window":  {"bank.watch.totals", `{"window":-1}`, gateway.CodeInvalid},
		"no such position": {"bank.watch.totals", `{"after":-1}`, gateway.CodeInvalid},
	} {
		if e := errorOf(t, next(t, s.ask(t, c.subject, c.body))); e.Code != c.want {
			t.Errorf("%s: %+v", what, e)
		}
	}
	next(t, s.ask(t, "bank.watch.totals", ""))
	if e := errorOf(t, next(t, s.ask(t, "bank.watch.totals", ""))); e.Code != gateway.CodeBusy {
		t.Errorf("one too many: %+v", e)
	}
}

// A watcher that is not there any more is no burden: a server tells.
func TestAWatcherThatIsGoneIsDropped(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(c *gateway.Config) { c.WatchBeat = 20 * time.Millisecond })
	sub := s.ask(t, "bank.watch.totals", "")
	next(t, sub)
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody watches", func() bool { return s.watching() == 0 })
	for range watchClient(t, s, projector.Watch{Progress: true}) {
		break // it says so
	}
	eventually(t, "nobody watches", func() bool { return s.watching() == 0 })
}

func watchClient(t testing.TB, s *stage, w projector.Watch) iter.Seq2[projector.Document, error] {
	t.Helper()
	return newClient(t, connect(t, s.server), hasty).Watch(t.Context(), "totals", w)
}

// A watcher that confirms nothing is dropped, with a reason; the Go client
// reports it.
func TestAWatcherThatIsSlowIsDropped(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(c *gateway.Config) { c.WatchBeat = 20 * time.Millisecond })
	for i := range 1000 {
		s.put(strconv.Itoa(i), "x")
	}
	sub := s.ask(t, "bank.watch.totals", `{"window":5}`)
	changes := 0
	for {
		m := next(t, sub)
		if m.Header.Get("Annals-Error") != "" {
			if e := errorOf(t, m); e.Code != gateway.CodeSlow || !e.Retryable {
				t.Errorf("%+v", e)
			}
			break
		}
		changes += strings.Count(string(m.Data), "watch_change")
	}
	if changes != 5 {
		t.Errorf("%d changes came, want as many as the window has", changes)
	}
	var end error
	for _, err := range watchClient(t, s, projector.Watch{}) {
		end = err
		eventually(t, "it was dropped", func() bool { return s.watching() == 0 })
	}
	if !errors.Is(end, projector.ErrSlow) {
		t.Errorf("the client says %v", end)
	}
}

// The client's watch ends with what no repetition changes, and with its context.
func TestWhyTheClientsWatchEnds(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := newClient(t, connect(t, s.server), hasty)
	end := func(ctx context.Context, c *gateway.Client, view string, w projector.Watch) (end error) {
		for _, err := range c.Watch(ctx, view, w) {
			end = err
		}
		return end
	}
	for what, e := range map[string]struct {
		view string
		w    projector.Watch
		want error
	}{
		"unknown view":   {"nothing", projector.Watch{}, projector.ErrNoView},
		"bad view":       {"No", projector.Watch{}, store.ErrInvalid},
		"key and prefix": {"totals", projector.Watch{Key: "a", Prefix: "b"}, store.ErrInvalid},
		"long key":       {"totals", projector.Watch{Key: strings.Repeat("x", 2000)}, store.ErrTooLarge},
	} {
		if err := end(t.Context(), c, e.view, e.w); !errors.Is(err, e.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for d, err := range c.Watch(ctx, "totals", projector.Watch{Progress: true}) {
		if last = err; err == nil && d.Key == "" {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("a context that ended: %v", last)
	}
	alone := newClient(t, connect(t, startServer(t)), hasty, func(c *gateway.ClientConfig) { c.Timeout = 50 * time.Millisecond })
	if err := end(t.Context(), alone, "totals", projector.Watch{}); !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("nobody: %v", err)
	}
}

// Clients watch while the view moves between nodes, another model is served,
// connections break and nodes leave: in the end each has what is there.
func TestTheClientsWatchGoesOn(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	if text := os.Getenv("ANNALS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("ANNALS_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newStage(t)
	wants := []projector.Watch{{}, {Prefix: "a"}, {Key: "b3"}, {Prefix: "b1"}, {Key: "none"}}
	got := make([]map[string]string, len(wants))
	var mu sync.Mutex
	reached, heard := make([]store.Position, len(wants)), store.Position(0) // heard: by the first
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var watching sync.WaitGroup
	var conns []*nats.Conn
	for i, w := range wants {
		got[i], w.Progress = map[string]string{}, true
		nc := connect(t, s.server, nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0), nats.MaxReconnects(-1))
		conns = append(conns, nc)
		c := newClient(t, nc, hasty)
		watching.Go(func() {
			for d, err := range c.Watch(ctx, "totals", w) {
				if i == 0 {
					mu.Lock()
					heard = max(heard, d.Position)
					mu.Unlock()
				}
				switch {
				case err != nil:
					if !errors.Is(err, context.Canceled) {
						t.Errorf("watcher %d: %v", i, err)
					}
				case d.Key == "":
					mu.Lock()
					reached[i] = d.Position
					mu.Unlock()
				case d.Document == nil:
					delete(got[i], d.Key)
				default:
					got[i][d.Key] = string(d.Document)
				}
			}
		})
	}
	for turn := range 300 {
		key, text := fmt.Sprintf("%c%d", 'a'+random.IntN(2), random.IntN(20)), strconv.Itoa(turn)
		if random.IntN(10) == 0 {
			text = ""
		}
		s.put(key, text)
		switch random.IntN(20) {
		case 0:
			s.move("a")
		case 1:
			s.move("b")
		case 2:
			s.rebuild()
		case 3:
			if err := conns[random.IntN(len(conns))].ForceReconnect(); err != nil {
				t.Error(err)
			}
		case 4, 5, 6, 7, 8, 9:
			eventually(t, "who watches everything hears of it", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return heard >= s.tip()
			})
		}
	}
	end := s.tip()
	eventually(t, "everybody has everything", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Min(reached) >= end
	})
	cancel()
	watching.Wait()
	for i, w := range wants {
		want := latest(s.log, func(d projector.Document) bool {
			return strings.HasPrefix(d.Key, w.Prefix) && (w.Key == "" || w.Key == d.Key)
		})
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Errorf("watcher %d of %+v (-want +got):\n%s", i, w, diff)
		}
	}
	if err := s.nodes["a"].stop(); err != nil {
		t.Error(err)
	}
}

// When another model was served while nobody told it anything, a watch begins anew,
// and says so.
func TestAWatchThatGoesOnNoticesASwitch(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.put("a", "1")
	if e := errorOf(t, next(t, s.ask(t, "bank.watch.totals", `{"after":1,"model":"totals_v2"}`))); e.Code != gateway.CodeSwitched {
		t.Errorf("a plain message that names another model: %+v", e)
	}
	var got []string
	for d, err := range watchClient(t, s, projector.Watch{Progress: true}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %d %s", d.Key, d.Position, d.Model))
		if d.Model == "totals_v2" {
			break
		}
		if d.Model != "" {
			s.move("nowhere")
			eventually(t, "nobody watches", func() bool { return s.watching() == 0 })
			s.rebuild()
			s.move("a")
		}
	}
	if diff := cmp.Diff([]string{"a 1 ", " 1 totals_v1", " 0 ", "a 1 ", " 1 totals_v2"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// When its node leaves, a watch goes on at the other.
func TestAWatchOutlivesItsNode(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.put("a", "1")
	var got []string
	for d, err := range watchClient(t, s, projector.Watch{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(d.Document))
		if len(got) == 2 {
			break
		}
		s.move("b")
		if err := s.nodes["b"].stop(); err != nil {
			t.Error(err)
		}
		s.put("a", "2")
		s.move("a")
	}
	if diff := cmp.Diff([]string{`"1"`, `"2"`}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A thousand watch one view.
func TestAThousandWatchOverTheGateway(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	nc := connect(t, s.server)
	inbox := nc.NewInbox()
	heard := make(chan string, 4000)
	_, err := nc.Subscribe(inbox+".*", func(m *nats.Msg) {
		if m.Header.Get("Annals-Watch") == "io.annals.api.v1.watch_change" {
			heard <- m.Subject
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	const watchers = 1000
	for i := range watchers {
		if err := nc.PublishRequest("bank.watch.totals.k", fmt.Sprint(inbox, ".", i), nil); err != nil {
			t.Fatal(err)
		}
		if i%100 == 99 { // each waits for its place
			eventually(t, "they watch", func() bool { return s.watching() == i+1 })
		}
	}
	s.put("k", "x")
	each := map[string]bool{}
	for range watchers {
		each[receive(t, heard)] = true
	}
	if len(each) != watchers {
		t.Errorf("%d of %d heard of it", len(each), watchers)
	}
}

// Somebody with nothing but the nats CLI takes a quick look.
func TestAViewIsWatchedWithTheStockCLI(t *testing.T) {
	t.Parallel()
	cli := natsCLI(t)
	s := newStage(t)
	s.put("k", "x")
	out, _ := cli(s.server)("req", "--raw", "--replies", "2", "bank.watch.totals.k", "")
	for _, want := range []string{`"document":"x"`, `"resume":1,"begun":true,"model":"totals_v1"`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
}
