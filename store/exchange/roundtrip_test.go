package exchange_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/exchange"
)

var forms = map[string]exchange.Form{"json lines": exchange.JSONLines, "cloudevents": exchange.CloudEvents}

// What was exported is imported as it was, to the last bit: the hash of each
// commit is that of its bytes.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, form := range forms {
		for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
			t.Run(name+" "+codec.Name(), func(t *testing.T) {
				t.Parallel()
				w := newWriter(t, codec).fill()
				to := store.NewMemory(store.MemoryConfig{Codec: codec})
				all := lines(t, w.log, form)
				count, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: to, Form: form, AtOnce: 1}, file(all))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(commits(t, w.log), commits(t, to)); diff != "" {
					t.Errorf("the log is another (-exported +imported):\n%s", diff)
				}
				want := exchange.Count{Streams: 8, Commits: 41, Events: uint64(len(all)), Lines: len(all)}
				if diff := cmp.Diff(want, count); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// With many streams at once the order between them may be another; each stream
// is the same event by event.
func TestRoundTripOfManyStreamsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack).fill()
	to := store.NewMemory(store.MemoryConfig{})
	if _, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: to}, file(lines(t, w.log, exchange.JSONLines))); err != nil {
		t.Fatal(err)
	}
	for stream := range w.heads {
		if diff := cmp.Diff(history(t, w.log, stream), history(t, to, stream)); diff != "" {
			t.Errorf("%s (-exported +imported):\n%s", stream, diff)
		}
	}
}

// history is a stream without what depends on the rest of the log.
func history(t *testing.T, log store.Log, stream store.StreamID) (all []store.Recorded[[]byte]) {
	t.Helper()
	for c, err := range log.Read(t.Context(), stream, store.Head{}) {
		if err != nil {
			t.Fatal(err)
		}
		for r := range c.Recorded() {
			r.Position = 0
			all = append(all, r)
		}
	}
	return all
}

// The same import again stores nothing twice, and one that was cut short goes on.
func TestImportAgain(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack).fill()
	to := store.NewMemory(store.MemoryConfig{})
	all := lines(t, w.log, exchange.JSONLines)
	for _, upTo := range []int{len(all) / 3, len(all), len(all)} {
		// Where it is cut inside a commit, the error says so and the rest is stored.
		_, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: to}, file(all[:upTo]))
		if err != nil && upTo == len(all) {
			t.Fatal(err)
		}
	}
	if has, want := len(commits(t, to)), len(commits(t, w.log)); has != want {
		t.Errorf("%d commits, want %d", has, want)
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack).fill()
	to := store.NewMemory(store.MemoryConfig{})
	count, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: to, DryRun: true}, file(lines(t, w.log, exchange.JSONLines)))
	if err != nil || count.Commits != 41 || len(commits(t, to)) != 0 {
		t.Errorf("%+v, %v, and %d commits stored", count, err, len(commits(t, to)))
	}
}

// From msgpack to JSON the values are what package encoding/json makes of them.
func TestImportFromMsgPackToJSON(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack)
	value := kindsOfValues()[0]
	w.commit("1", value)
	to := store.NewMemory(store.MemoryConfig{Codec: store.JSON})
	if _, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: to}, file(lines(t, w.log, exchange.JSONLines))); err != nil {
		t.Fatal(err)
	}
	var got line
	if err := store.JSON.Unmarshal(commits(t, to)[0].Events[0].Data, &got, true); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(value, got); diff != "" {
		t.Error(diff)
	}
}

// What has no JSON is exported all the same, with its bytes.
func TestValuesWithoutJSON(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack)
	w.commit("1", math.NaN(), []any{math.Inf(1), 1}, time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC))
	stream := store.StreamID{Type: "order", ID: "1"}
	w.append(&store.Commit{
		Stream: stream, ID: uuid.New(), After: w.heads[stream], Time: time.Unix(1e9, 0),
		Commands: []store.Command{{ID: "c", Name: "do"}},
		Events: []store.Event{
			{Type: "done", Schema: 1, Data: []byte{}},     // no value at all
			{Type: "done", Schema: 1, Data: []byte{0xc1}}, // no msgpack
			{Type: "done", Schema: 1, Data: []byte{1, 2}}, // two values
		},
	})
	for name, form := range forms {
		to := store.NewMemory(store.MemoryConfig{})
		if _, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: to, Form: form}, file(lines(t, w.log, form))); err != nil {
			t.Fatal(name, err)
		}
		if diff := cmp.Diff(commits(t, w.log), commits(t, to)); diff != "" {
			t.Errorf("%s (-exported +imported):\n%s", name, diff)
		}
	}
}

// Most values need no second form: the JSON alone gives the bytes again.
func TestOrdinaryValuesAreNotPacked(t *testing.T) {
	t.Parallel()
	type ordinary struct {
		Name  string    `json:"name"`
		Count int       `json:"count"`
		Price float64   `json:"price"`
		At    time.Time `json:"at"`
		Tags  []string  `json:"tags"`
		Extra *int      `json:"extra"`
	}
	w := newWriter(t, store.MsgPack)
	w.n = 2 // a command without a body
	w.commit("1", ordinary{Name: "tea <&>", Count: 1 << 40, Price: 3, At: time.Unix(1e9, 1000).UTC(), Tags: []string{"a", "b"}})
	for _, line := range lines(t, w.log, exchange.JSONLines) {
		if bytes.Contains(line, []byte(`"packed"`)) {
			t.Errorf("it is packed: %s", line)
		}
	}
}

func TestExportOfAStretch(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.JSON)
	for range 5 {
		w.commit("1", 1, 2, 3)
	}
	for _, test := range []struct {
		name      string
		after, to store.Position
		want      string
	}{
		{"all", 0, 0, "1 to 15"},
		{"after a commit", store.PositionOf(2, 2), 0, "7 to 15"},
		{"after an event inside a commit, which comes whole", store.PositionOf(2, 1), 0, "4 to 15"},
		{"to an event inside a commit, which comes whole", 0, store.PositionOf(2, 0), "1 to 6"},
		{"to a place beyond the end", store.PositionOf(4, 2), store.PositionOf(99, 0), "13 to 15"},
		{"nothing", store.PositionOf(5, 2), 0, "nothing"},
	} {
		var versions []uint64
		config := exchange.ExportConfig{Log: w.log, After: test.after, To: test.to}
		count, err := exchange.Export(t.Context(), config, func(line []byte) error {
			var e struct{ Version uint64 }
			if err := json.Unmarshal(line, &e); err != nil {
				return err
			}
			versions = append(versions, e.Version)
			return nil
		})
		got := "nothing"
		if n := len(versions); n > 0 {
			got = versionsText(versions[0], versions[n-1])
		}
		if err != nil || got != test.want || count.Events != uint64(len(versions)) {
			t.Errorf("%s: %s, %v, want %s", test.name, got, err, test.want)
		}
	}
}

func TestExportOfTypes(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.JSON).fill()
	count, err := exchange.Export(t.Context(), exchange.ExportConfig{Log: w.log, Types: []string{"other"}}, func([]byte) error {
		t.Error("an event of another type")
		return nil
	})
	if err != nil || count.Events != 0 {
		t.Errorf("%+v, %v", count, err)
	}
}

func TestExportStopsWhenNobodyReads(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.JSON).fill()
	_, err := exchange.Export(context.Background(), exchange.ExportConfig{Log: w.log}, func([]byte) error { return errClosed })
	if !isClosed(err) {
		t.Errorf("got %v", err)
	}
}

// A namespace whose leases count from an earlier time than those of the file gets
// no epoch above its own; the one that the file came from keeps what it has.
func TestEpochsOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	w := newWriter(t, store.MsgPack).fill() // with epochs up to 2
	all := lines(t, w.log, exchange.JSONLines)
	to := store.NewMemory(store.MemoryConfig{})
	for _, log := range []store.Log{to, to, w.log} {
		for _, dry := range []bool{true, false} {
			if _, err := exchange.Import(t.Context(), exchange.ImportConfig{Log: log, MaxEpoch: 1, DryRun: dry}, file(all)); err != nil {
				t.Fatalf("dry run %v: %v", dry, err)
			}
		}
	}
	highest := func(log store.Log) (epoch uint64) {
		for _, c := range commits(t, log) {
			epoch = max(epoch, c.Epoch)
		}
		return epoch
	}
	if got, was := highest(to), highest(w.log); got != 1 || was != 2 {
		t.Errorf("the highest epoch is %d, of %d", got, was)
	}
}
