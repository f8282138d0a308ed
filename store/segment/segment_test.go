package segment_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// history returns the commits of a log with so many, of 1 to 3 events each,
// over streams chosen by a seed.
func history(t testing.TB, codec store.Codec, commits, streams int) []*store.Commit {
	t.Helper()
	log := store.NewMemory(store.MemoryConfig{Codec: codec})
	random := rand.New(rand.NewPCG(1, uint64(commits)))
	heads := map[store.StreamID]store.Head{}
	for i := range commits {
		id := store.StreamID{Type: "account", ID: fmt.Sprint(random.IntN(streams))}
		c := &store.Commit{
			Stream: id, ID: uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i)), After: heads[id],
			Time:     time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC).Add(time.Duration(i) * time.Second),
			Commands: []store.Command{{ID: fmt.Sprint("c", i), Name: "deposit"}},
		}
		for range 1 + random.IntN(3) {
			c.Events = append(c.Events, store.Event{Type: "deposited", Schema: 1, Data: value(t, codec, i)})
		}
		head, err := log.Append(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		heads[id] = head
	}
	feed, err := log.Follow(t.Context(), store.Follow{})
	if err != nil {
		t.Fatal(err)
	}
	var all []*store.Commit
	for len(all) < commits {
		batch, err := feed.Next(t.Context(), commits)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, batch...)
	}
	return all
}

func value(t testing.TB, codec store.Codec, i int) []byte {
	t.Helper()
	data, err := codec.Marshal(struct {
		Cents int
		Note  string
	}{i, fmt.Sprintf("%x", rand.New(rand.NewPCG(2, uint64(i))).Uint64())})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// written returns a file of the commits.
func written(t testing.TB, codec store.Codec, commits []*store.Commit) ([]byte, segment.Info) {
	t.Helper()
	var file bytes.Buffer
	w := segment.NewWriter(&file, codec)
	for _, c := range commits {
		if err := w.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	info, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), info
}

func opened(t testing.TB, file []byte) *segment.Reader {
	t.Helper()
	r, err := segment.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func collect(seq iter.Seq2[*store.Commit, error]) (all []*store.Commit, err error) {
	for c, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		t.Run(codec.Name(), func(t *testing.T) {
			t.Parallel()
			want := history(t, codec, 3000, 40)
			file, info := written(t, codec, want)
			r := opened(t, file)
			if diff := cmp.Diff(info, r.Info()); diff != "" {
				t.Errorf("info: -written +read:\n%s", diff)
			}
			if r.Codec().Name() != codec.Name() {
				t.Errorf("codec %s", r.Codec().Name())
			}
			got, err := collect(r.All(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(want, got) { // cmp is slow where much is equal
				t.Fatalf("-want +got:\n%s", cmp.Diff(want, got))
			}
			if err := r.Verify(t.Context()); err != nil {
				t.Errorf("verify: %v", err)
			}
		})
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	commits := history(t, store.MsgPack, 500, 7)
	file, info := written(t, store.MsgPack, commits)
	events := uint64(0)
	for _, c := range commits {
		events += uint64(len(c.Events))
	}
	last := commits[len(commits)-1]
	want := segment.Info{
		First: store.PositionOf(1, 0), Last: last.Last(), Commits: 500, Events: events, Streams: 7,
		From: commits[0].Time, To: last.Time, Raw: info.Raw, Size: int64(len(file)), Sum: info.Sum,
	}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if info.Raw < info.Size {
		t.Errorf("%d bytes became %d", info.Raw, info.Size)
	}
}

func TestAllWithin(t *testing.T) {
	t.Parallel()
	commits := history(t, store.MsgPack, 4000, 40)
	file, _ := written(t, store.MsgPack, commits)
	r := opened(t, file)
	for _, c := range []struct{ after, before, first, last uint64 }{
		{0, 0, 1, 4000}, {0, 2, 1, 1}, {3999, 0, 4000, 4000}, {1999, 2101, 2000, 2100}, {1000, 1001, 0, 0}, {4000, 0, 0, 0}, {5000, 6000, 0, 0},
	} {
		got, err := collect(r.All(c.after, c.before))
		if err != nil {
			t.Fatal(err)
		}
		first, last := uint64(0), uint64(0)
		if len(got) > 0 {
			first, last = got[0].Sequence, got[len(got)-1].Sequence
		}
		if first != c.first || last != c.last || first > 0 && uint64(len(got)) != last-first+1 {
			t.Errorf("after %d, before %d: %d commits, %d to %d", c.after, c.before, len(got), first, last)
		}
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	const streams = 5
	commits := history(t, store.MsgPack, 6000, streams)
	file, _ := written(t, store.MsgPack, commits[1000:]) // the beginnings of all streams are elsewhere
	r := opened(t, file)
	spans := 0
	for span := range r.Streams() {
		spans++
		var want []*store.Commit
		for _, c := range commits[1000:] {
			if c.Stream == span.Stream {
				want = append(want, c)
			}
		}
		for _, from := range []int{0, 1, len(want) / 2, len(want) - 1} {
			got, err := collect(r.Stream(span.Stream, want[from].After))
			if err != nil || !reflect.DeepEqual(want[from:], got) {
				t.Fatalf("%s from its commit %d: %v\n%s", span.Stream, from, err, cmp.Diff(want[from:], got))
			}
		}
		if got, err := collect(r.Stream(span.Stream, span.Last)); err != nil || len(got) > 0 {
			t.Errorf("%s after its end: %d commits, %v", span.Stream, len(got), err)
		}
		if got, err := collect(r.Stream(span.Stream, store.Head{})); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s from a version that is not here: %d commits, %v", span.Stream, len(got), err)
		}
		other := want[len(want)/2].After
		other.Hash[3] ^= 1
		if got, err := collect(r.Stream(span.Stream, other)); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s after another history: %d commits, %v", span.Stream, len(got), err)
		}
		last := want[len(want)-1]
		wantSpan := segment.Span{Stream: span.Stream, Before: want[0].After, Last: last.Head(), First: want[0].Sequence, End: last.Sequence, Commits: uint64(len(want))}
		if found, ok := r.Find(span.Stream); !ok || found != wantSpan || span != wantSpan {
			t.Errorf("span %+v, want %+v", found, wantSpan)
		}
	}
	if spans != streams {
		t.Errorf("%d streams", spans)
	}
	if _, ok := r.Find(store.StreamID{Type: "account", ID: "none"}); ok {
		t.Error("a stream that is not there was found")
	}
	if got, err := collect(r.Stream(store.StreamID{Type: "account", ID: "none"}, store.Head{})); err != nil || len(got) > 0 {
		t.Errorf("a stream that is not there: %d commits, %v", len(got), err)
	}
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	commits := history(t, store.MsgPack, 20, 2)
	byStream := map[store.StreamID][]*store.Commit{}
	for _, c := range commits {
		byStream[c.Stream] = append(byStream[c.Stream], c)
	}
	own := byStream[commits[0].Stream]
	changed := *own[1]
	changed.Events = append([]store.Event(nil), changed.Events...)
	changed.Events[0].Data = value(t, store.MsgPack, -1)
	for what, c := range map[string]struct {
		next *store.Commit
		want error
	}{
		"the same again":         {own[0], store.ErrInvalid},
		"one that leaves a hole": {own[2], store.ErrDamaged},
		"other bytes":            {&changed, store.ErrDamaged},
	} {
		w := segment.NewWriter(&bytes.Buffer{}, store.MsgPack)
		if err := w.Add(own[0]); err != nil {
			t.Fatal(err)
		}
		if err := w.Add(c.next); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
		if err := w.Add(own[1]); err != nil {
			t.Errorf("the right one after %s: %v", what, err)
		}
	}
}

func TestEmptyFileIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := segment.NewWriter(&bytes.Buffer{}, store.MsgPack).Close(); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
}

// What cannot be written is said by every later call.
func TestWriterThatFails(t *testing.T) {
	t.Parallel()
	full := errors.New("no room")
	w := segment.NewWriter(failing{full}, store.MsgPack)
	if err := w.Add(history(t, store.MsgPack, 1, 1)[0]); !errors.Is(err, full) {
		t.Error(err)
	}
	if _, err := w.Close(); !errors.Is(err, full) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
