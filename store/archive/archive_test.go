package archive_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/archive"
	"github.com/annals-go/annals/store/segment"
)

// bench is a log with streams of two types, and an archive in a directory.
type bench struct {
	vault *fragile

	fileBytes int64
	barrier   func(context.Context) error
	gate      *gate
	log       *store.Memory
	heads     map[store.StreamID][]store.Head // after each commit
	all       []*store.Commit                 // as the log gave them before anything was archived
}

func newBench(t *testing.T, streams, rounds int) *bench {
	t.Helper()
	dir, err := segment.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return newBenchIn(t, dir, streams, rounds)
}

func newBenchIn(t *testing.T, vault segment.Vault, streams, rounds int) *bench {
	t.Helper()
	b := &bench{vault: &fragile{Vault: vault}, heads: map[store.StreamID][]store.Head{}}
	b.gate = &gate{Archive: b.open(t)}
	b.log = store.NewMemory(store.MemoryConfig{Archive: b.gate})
	b.write(t, streams, rounds)
	return b
}

func (b *bench) open(t *testing.T) *archive.Archive {
	t.Helper()
	a, err := archive.Open(t.Context(), archive.Config{Vault: b.vault, Namespace: "bank", FileBytes: b.fileBytes, Barrier: b.barrier, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func (b *bench) write(t *testing.T, streams, rounds int) {
	t.Helper()
	random := rand.New(rand.NewPCG(7, uint64(len(b.all))))
	for range streams * rounds {
		n := random.IntN(streams)
		b.append(t, store.StreamID{Type: []string{"account", "offer"}[n%2], ID: fmt.Sprint(n)}, 1+random.IntN(3))
	}
	b.all = nil
	for c := range b.feed(t, "") {
		b.all = append(b.all, c)
	}
}

func (b *bench) append(t *testing.T, id store.StreamID, events int) {
	t.Helper()
	var after store.Head
	if heads := b.heads[id]; len(heads) > 0 {
		after = heads[len(heads)-1]
	}
	c := &store.Commit{
		Stream: id, ID: uuid.New(), After: after, Time: time.Unix(1, 0),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "deposit"}},
	}
	for range events {
		c.Events = append(c.Events, store.Event{Type: "deposited", Schema: 1, Data: []byte("\x81\xa1a\x01")})
	}
	head, err := b.log.Append(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	b.heads[id] = append(b.heads[id], head)
}

// feed yields what a feed delivers up to the log's end.
func (b *bench) feed(t *testing.T, aggregate string) func(func(*store.Commit) bool) {
	t.Helper()
	var types []string
	if aggregate != "" {
		types = []string{aggregate}
	}
	return func(yield func(*store.Commit) bool) {
		feed, err := b.log.Follow(t.Context(), store.Follow{Types: types})
		if err != nil {
			t.Fatal(err)
		}
		defer feed.Close()
		for feed.Pending() > 0 {
			commits, err := feed.Next(t.Context(), 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range commits {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// check wants the log to be what it was.
func (b *bench) check(t *testing.T) {
	t.Helper()
	var got []*store.Commit
	for c := range b.feed(t, "") {
		got = append(got, c)
	}
	if diff := cmp.Diff(b.all, got); diff != "" {
		t.Fatalf("the feed is not what it was (-was +is):\n%.2000s", diff)
	}
	of := map[store.StreamID][]*store.Commit{}
	for _, c := range b.all {
		of[c.Stream] = append(of[c.Stream], c)
	}
	for id, want := range of {
		var got []*store.Commit
		for c, err := range b.log.Read(t.Context(), id, store.Head{}) {
			if err != nil {
				t.Fatalf("read %s: %v", id, err)
			}
			got = append(got, c)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s is not what it was (-was +is):\n%.2000s", id, diff)
		}
	}
}

// keep cuts streams so that the last commits stay.
func (b *bench) keep(n int) func(context.Context, store.StreamID, uint64) (store.Head, error) {
	return func(_ context.Context, id store.StreamID, version uint64) (store.Head, error) {
		heads := b.heads[id]
		if heads[len(heads)-1].Version != version {
			return store.Head{}, fmt.Errorf("%s is said to end at %d, it ends at %d", id, version, heads[len(heads)-1].Version)
		}
		if len(heads) <= n {
			return store.Head{}, nil
		}
		return heads[len(heads)-1-n], nil
	}
}

func (b *bench) run(t *testing.T, a *archive.Archive, j archive.Job) (archive.Report, error) {
	t.Helper()
	j.Log = b.log
	return a.Run(t.Context(), j)
}

func (b *bench) mustRun(t *testing.T, j archive.Job) archive.Report {
	t.Helper()
	r, err := b.run(t, b.open(t), j)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantLive wants the log itself to have so many commits.
func (b *bench) wantLive(t *testing.T, want int) {
	t.Helper()
	b.gate.shut.Store(true)
	defer b.gate.shut.Store(false)
	got := 0
	for id, heads := range b.heads {
		for i := range slices.Backward(heads) { // from the longest to the shortest rest that can be read
			after := store.Head{}
			if i > 0 {
				after = heads[i-1]
			}
			if rest, err := count(b.log.Read(t.Context(), id, after)); err != nil || rest != len(heads)-i {
				break
			}
			got++
		}
	}
	if got != want {
		t.Fatalf("the log holds %d commits itself, want %d", got, want)
	}
}

func count(commits iter.Seq2[*store.Commit, error]) (n int, err error) {
	for _, err := range commits {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// gate is an archive that can be shut.
type gate struct {
	store.Archive
	shut atomic.Bool
}

func (g *gate) Stream(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	if g.shut.Load() {
		return func(yield func(*store.Commit, error) bool) { yield(nil, errors.New("shut")) }
	}
	return g.Archive.Stream(ctx, id, after)
}

func TestRunMovesAndReadsThrough(t *testing.T) {
	t.Parallel()
	b := newBench(t, 10, 40)
	r := b.mustRun(t, archive.Job{Cut: b.keep(3)})
	if r.Run.Commits != uint64(len(b.all)-30) || r.Run.Streams != 10 || r.Looked != 10 || r.Truncated != 10 || r.LeftCount != 0 {
		t.Fatalf("report %+v", r)
	}
	b.wantLive(t, 30)
	b.check(t)

	again := b.mustRun(t, archive.Job{Cut: b.keep(3)})
	if again.Run.Name != "" || again.Truncated != 10 {
		t.Fatalf("a run with nothing to do: %+v", again)
	}
	b.write(t, 10, 20) // the log of another process sees the next run, too
	more := b.mustRun(t, archive.Job{Cut: b.keep(1), Types: []string{"offer"}})
	if more.Looked != 5 || more.Run.Streams != 5 {
		t.Fatalf("a run of one type: %+v", more)
	}
	b.check(t)
	one := store.StreamID{Type: "account", ID: "2"}
	single := b.mustRun(t, archive.Job{Cut: b.keep(1), Streams: []store.StreamID{one}})
	if single.Run.Streams != 1 || single.Looked != 1 {
		t.Fatalf("a run of one stream: %+v", single)
	}
	b.check(t)
	runs, err := b.open(t).Runs(t.Context())
	if err != nil || len(runs) != 3 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	wantFindings(t, b, 0)
}

func wantFindings(t *testing.T, b *bench, faults int) archive.Findings {
	t.Helper()
	a, err := archive.Open(t.Context(), archive.Config{Vault: b.vault, Namespace: "bank"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	before := b.gate.Archive
	b.gate.Archive = a // which has seen nothing yet
	defer func() { b.gate.Archive = before }()
	f, err := a.Verify(t.Context(), b.log, nil)
	if err != nil || (f.FaultCount > 0) != (faults > 0) {
		t.Fatalf("findings %+v, %v, want %d faults", f, err, faults)
	}
	return f
}

// TestManyFiles has more files than are kept open, from runs that overlap.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, 20, 100)
	b.fileBytes = 4 << 10
	b.mustRun(t, archive.Job{Cut: b.keep(40), Types: []string{"offer"}})
	b.mustRun(t, archive.Job{Cut: b.keep(20)})
	b.mustRun(t, archive.Job{Cut: b.keep(1)})
	b.wantLive(t, 20)
	b.check(t)
	if f := wantFindings(t, b, 0); f.Files < 64 || f.Commits != uint64(len(b.all)-20) {
		t.Fatalf("findings %+v, want 64 files or more", f)
	}
	got := 0
	for c := range b.feed(t, "offer") {
		if c.Stream.Type != "offer" {
			t.Fatalf("a feed of offers has %s", c.Stream)
		}
		got++
	}
	want := 0
	for _, c := range b.all {
		if c.Stream.Type == "offer" {
			want++
		}
	}
	if got != want {
		t.Fatalf("%d offers, want %d", got, want)
	}
}

func TestStreamsThatCannotBeCutAreLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t, 6, 20)
	keep := b.keep(2)
	r := b.mustRun(t, archive.Job{Cut: func(ctx context.Context, id store.StreamID, version uint64) (store.Head, error) {
		if id.Type == "offer" {
			return store.Head{}, fmt.Errorf("%w: it has no snapshot", archive.ErrNotCut)
		}
		return keep(ctx, id, version)
	}})
	if r.Looked != 6 || r.Run.Streams != 3 || r.LeftCount != 3 || len(r.Left) != 3 || r.Left[0].Stream.Type != "offer" {
		t.Fatalf("report %+v", r)
	}
	b.check(t)
	broken := errors.New("cannot be asked")
	if _, err := b.run(t, b.open(t), archive.Job{Cut: func(context.Context, store.StreamID, uint64) (store.Head, error) { return store.Head{}, broken }}); !errors.Is(err, broken) {
		t.Fatalf("run: %v", err)
	}
}

func TestCutThatTheLogDoesNotHave(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 20)
	keep := b.keep(2)
	_, err := b.run(t, b.open(t), archive.Job{Cut: func(ctx context.Context, id store.StreamID, version uint64) (store.Head, error) {
		h, err := keep(ctx, id, version)
		h.Hash[1] ^= 1
		return h, err
	}})
	if !errors.Is(err, store.ErrDamaged) {
		t.Fatalf("run: %v, want damage", err)
	}
	b.wantLive(t, len(b.all))
	if f := wantFindings(t, b, 0); f.Runs != 0 || f.Unlisted != 0 {
		t.Fatalf("findings %+v, want nothing left behind", f)
	}
}

func TestTwoRunsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, 6, 40)
	first, second := b.open(t), b.open(t)
	keep := b.keep(2)
	ran := false
	_, err := b.run(t, first, archive.Job{Cut: func(ctx context.Context, id store.StreamID, version uint64) (store.Head, error) {
		if !ran && id.ID == "5" { // the last that is chosen: the first run has chosen all
			ran = true
			if _, err := b.run(t, second, archive.Job{Cut: b.keep(5)}); err != nil {
				t.Error(err)
			}
		}
		return keep(ctx, id, version)
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.wantLive(t, 12)
	b.check(t)
	f := wantFindings(t, b, 0)
	if f.Runs != 2 || f.Commits <= uint64(len(b.all)-12) {
		t.Fatalf("findings %+v, want two runs with commits in both", f)
	}
}

// An archive of another history, as after a restore to a point before its end, is
// not gone on from.
func TestArchiveOfAnotherHistory(t *testing.T) {
	t.Parallel()
	dir, err := segment.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first, other := newBenchIn(t, dir, 4, 20), newBenchIn(t, dir, 4, 60)
	first.mustRun(t, archive.Job{Cut: first.keep(2)})
	if _, err := other.run(t, other.open(t), archive.Job{Cut: other.keep(2)}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("run: %v, want damage", err)
	}
	other.check(t)
	if f := wantFindings(t, first, 0); f.Runs != 1 || f.Unlisted != 0 {
		t.Errorf("findings %+v, want the first run alone", f)
	}
}

// Two runs of different histories are each good by themselves, and no archive.
func TestVerifyFindsAnotherHistory(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	var files [2]segment.Vault
	for i := range files {
		var err error
		if files[i], err = segment.Dir(filepath.Join(root, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		b := newBenchIn(t, files[i], 4, 20+40*i)
		job := archive.Job{Cut: b.keep(2)}
		if i > 0 { // the type that comes second, so that its file does, too
			job.Types = []string{map[string]string{"account": "offer", "offer": "account"}[b.all[0].Stream.Type]}
		}
		b.mustRun(t, job)
	}
	all, err := files[1].List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		data, err := segment.ReadFile(t.Context(), files[1], f.Name, 1<<20)
		if err == nil {
			err = segment.WriteFile(t.Context(), files[0], f.Name, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	both, err := archive.Open(t.Context(), archive.Config{Vault: files[0], Namespace: "bank"})
	if err != nil {
		t.Fatal(err)
	}
	defer both.Close()
	if f, err := both.Verify(t.Context(), nil, nil); err != nil || f.FaultCount == 0 {
		t.Errorf("findings %+v, %v, want faults", f, err)
	}
}

// A vault from which everything has gone, as a disk that is not mounted, is away: what
// was archived is not lost.
func TestVaultThatIsAway(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "vault")
	dir, err := segment.Dir(root)
	if err != nil {
		t.Fatal(err)
	}
	b := newBenchIn(t, dir, 4, 20)
	b.mustRun(t, archive.Job{Cut: b.keep(2)})
	a := b.open(t)
	if err := os.Rename(root, root+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	if runs, err := a.Runs(t.Context()); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrDamaged) {
		t.Errorf("%d runs, %v, want unavailable", len(runs), err)
	}
	last := b.all[len(b.all)-1].Sequence // which is not in the archive, so that it looks
	if _, err := store.ReadArchivedBetween(t.Context(), a, last-1, last+1, func(*store.Commit) error { return nil }); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("read: %v, want unavailable", err)
	}
	if err := errors.Join(os.Remove(root), os.Rename(root+"-away", root)); err != nil {
		t.Fatal(err)
	}
	if runs, err := a.Runs(t.Context()); err != nil || len(runs) != 1 {
		t.Errorf("it is back: %d runs, %v", len(runs), err)
	}
}
