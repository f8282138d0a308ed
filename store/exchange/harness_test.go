package exchange_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/exchange"
)

// writer appends commits to a log that nobody else writes to.
type writer struct {
	t     testing.TB
	log   store.Log
	heads map[store.StreamID]store.Head
	n     int
}

func newWriter(t testing.TB, codec store.Codec) *writer {
	return &writer{t: t, log: store.NewMemory(store.MemoryConfig{Codec: codec}), heads: map[store.StreamID]store.Head{}}
}

// commit appends one commit with the values as its events, each two of them of
// one command.
func (w *writer) commit(id string, values ...any) {
	w.t.Helper()
	stream := store.StreamID{Type: "order", ID: id}
	w.n++
	c := &store.Commit{
		Stream: stream, ID: uuid.New(), After: w.heads[stream], Epoch: uint64(w.n % 3),
		Time: time.Date(2012, 3, 1, 9, 30, w.n%60, 123_456_000, time.UTC),
	}
	for i, v := range values {
		if i%2 == 0 {
			c.Commands = append(c.Commands, store.Command{
				ID: fmt.Sprintf("c-%d-%d", w.n, i), Name: "do", BodyHash: 1<<63 + uint64(i), CorrelationID: "request <7> & ü",
				CausationID: "cause", Principal: "alice", Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			})
			w.keep(&c.Commands[len(c.Commands)-1])
		}
		data, err := w.log.Codec().Marshal(v)
		if err != nil {
			w.t.Fatal(err)
		}
		c.Events = append(c.Events, store.Event{Type: "done", Schema: 1 + i%2, Command: len(c.Commands) - 1, Data: data})
	}
	w.append(c)
}

// keep gives some commands a body, with or without JSON of its own, and a link.
func (w *writer) keep(c *store.Command) {
	w.t.Helper()
	var err error
	switch w.n % 3 {
	case 1:
		c.Schema, c.Corrects = 2, "order/1/7"
		c.Data, err = w.log.Codec().Marshal(line{Name: "<&>", Ratio: 0.1})
	case 2:
		c.Schema = 1
		c.Data, err = w.log.Codec().Marshal(map[string]any{"n": w.n})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) append(c *store.Commit) {
	w.t.Helper()
	head, err := w.log.Append(context.Background(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.heads[c.Stream] = head
}

// fill appends commits of several streams in turn, with all kinds of values.
func (w *writer) fill() *writer {
	w.t.Helper()
	for i := range 40 {
		w.commit(fmt.Sprintf("%d", i%7), kindsOfValues()[:1+i%len(kindsOfValues())]...)
	}
	w.commit("Straße/7 <&>", map[string]any{"html": "<a href=\"x\">&\u2028</a>"})
	return w
}

type line struct {
	Name  string    `json:"name"`
	Count int       `json:"count"`
	Price float64   `json:"price"`
	At    time.Time `json:"at"`
	Scan  []byte    `json:"scan"`
	Ratio float32   `json:"ratio"`
}

func kindsOfValues() []any {
	return []any{
		line{Name: "tea", Count: -3, Price: 1, At: time.Date(2011, 10, 1, 0, 38, 44, 546_000_000, time.UTC), Scan: []byte{0, 255}, Ratio: 0.1},
		map[string]any{"z": 1, "a": []any{nil, true, false, 1.5, -0.25, uint64(1<<63 + 1), int64(-1 << 63), "x"}},
		"2012-03-01T10:00:00Z", // a text that looks like a time
		time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
		[]any{},
		map[string]any{},
		"", 0, 1e300, math.Copysign(0, -1), 1e21,
		map[int]string{1: "one", -2: "two"},
		map[string]any{"scan": []byte("\xc7\x01\x50")}, // which looks like a sealed value
	}
}

// lines exports a log.
func lines(t testing.TB, log store.Log, form exchange.Form) [][]byte {
	t.Helper()
	var all [][]byte
	config := exchange.ExportConfig{Log: log, Namespace: "orders", Form: form}
	_, err := exchange.Export(context.Background(), config, func(line []byte) error {
		all = append(all, bytes.Clone(line))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func file(lines [][]byte) *bytes.Reader {
	return bytes.NewReader(append(bytes.Join(lines, []byte("\n")), '\n'))
}

// commits returns the log's commits as they are stored.
func commits(t testing.TB, log store.Log) []*store.Commit {
	t.Helper()
	tip, err := log.Tip(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if tip == 0 {
		return nil
	}
	feed, err := log.Follow(context.Background(), store.Follow{})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	var all []*store.Commit
	for len(all) == 0 || all[len(all)-1].Last() < tip {
		some, err := feed.Next(context.Background(), 100)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	return all
}
