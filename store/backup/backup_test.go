package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/segment"
)

const namespace = "shop"

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// site is a namespace in memory that grows, and a vault.
type site struct {
	log    *store.Memory
	heads  map[store.StreamID]store.Head
	random *rand.Rand
	n      int
	vault  segment.Vault
	dir    string
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	v, err := segment.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &site{
		log: store.NewMemory(store.MemoryConfig{}), heads: map[store.StreamID]store.Head{}, random: rand.New(rand.NewPCG(1, 2)), vault: v, dir: dir,
	}
}

// grow appends so many commits, one a second.
func (s *site) grow(t *testing.T, commits int) {
	t.Helper()
	for range commits {
		id := store.StreamID{Type: "account", ID: fmt.Sprint(s.random.IntN(9))}
		c := &store.Commit{
			Stream: id, ID: uuid.NewSHA1(uuid.Nil, fmt.Append(nil, s.n)), After: s.heads[id], Time: epoch.Add(time.Duration(s.n) * time.Second),
			Commands: []store.Command{{ID: fmt.Sprint("c", s.n), Name: "deposit"}},
		}
		for range 1 + s.random.IntN(3) {
			c.Events = append(c.Events, store.Event{Type: "deposited", Schema: 1, Data: []byte{7}})
		}
		head, err := s.log.Append(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		s.heads[id] = head
		s.n++
	}
}

// snapshot saves a snapshot of each stream where it is.
func (s *site) snapshot(t *testing.T) {
	t.Helper()
	for _, c := range commits(t, s.log) {
		if s.heads[c.Stream] != c.Head() {
			continue
		}
		snapshot := &store.Snapshot{Stream: c.Stream, Head: c.Head(), Position: c.Last(), Time: c.Time, Schema: 1, State: []byte(c.Stream.ID)}
		if err := s.log.Save(t.Context(), snapshot); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *site) snapshots(ctx context.Context) iter.Seq2[*store.Snapshot, error] {
	return func(yield func(*store.Snapshot, error) bool) {
		for id := range s.heads {
			got, err := s.log.Load(ctx, id)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if !yield(got, err) {
				return
			}
		}
	}
}

func (s *site) create(t *testing.T, source backup.Source, o backup.Options) *backup.Manifest {
	t.Helper()
	source.Log = s.log
	m, err := backup.Create(t.Context(), s.vault, namespace, source, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (s *site) open(t *testing.T, id string) *backup.Backup {
	t.Helper()
	b, err := backup.Open(t.Context(), s.vault, namespace, id)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// commits returns all commits of a log.
func commits(t *testing.T, log store.Log) []*store.Commit {
	t.Helper()
	tip, err := log.Tip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	feed, err := log.Follow(t.Context(), store.Follow{})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	var all []*store.Commit
	for len(all) == 0 && tip > 0 || len(all) > 0 && all[len(all)-1].Last() < tip {
		batch, err := feed.Next(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, batch...)
	}
	return all
}

// target is an empty namespace in memory.
type target struct {
	log   *store.Memory
	end   uint64
	most  uint64 // after so many commits it fails; 0: never
	table table
}

var errCrash = errors.New("crash")

func newTarget() *target { return &target{log: store.NewMemory(store.MemoryConfig{}), table: table{}} }

func (r *target) End() uint64 { return r.end }

func (r *target) Load(ctx context.Context, c *store.Commit) error {
	if r.most > 0 && r.end == r.most {
		return errCrash
	}
	own := *c
	_, err := r.log.Append(ctx, &own)
	if err == nil && (own.Sequence != c.Sequence || own.Hash != c.Hash) {
		err = fmt.Errorf("commit %d became %d", c.Sequence, own.Sequence)
	}
	r.end++
	return err
}

func (r *target) Flush(context.Context) error { return nil }

func (r *target) target() backup.Target {
	return backup.Target{Loader: r, Log: r.log, Snapshots: r.log, Tables: []backup.Table{r.table}}
}

// table is a table in memory.
type table map[string][]byte

func (table) Name() string                                     { return "models" }
func (t table) All(context.Context) (map[string][]byte, error) { return t, nil }
func (t table) Restore(_ context.Context, key string, value []byte) error {
	if _, has := t[key]; !has {
		t[key] = value
	}
	return nil
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	source := backup.Source{Snapshots: s.snapshots, Tables: []backup.Table{table{"a view": []byte("v2"), "b": []byte("v1")}}}
	var manifests []*backup.Manifest
	for range 3 {
		s.grow(t, 400)
		s.snapshot(t)
		manifests = append(manifests, s.create(t, source, backup.Options{}))
	}
	nothing := s.create(t, source, backup.Options{}) // nothing is new
	if len(nothing.Log) > 0 || nothing.Parent != manifests[2].ID || nothing.Position != manifests[2].Position {
		t.Errorf("a backup of nothing new: %+v", nothing)
	}
	want := commits(t, s.log)
	for i, m := range manifests {
		if m.Full() != (i == 0) || m.Commits != 400 || m.Sequence != uint64(400*(i+1)) {
			t.Errorf("manifest %d: %+v", i, m)
		}
		b := s.open(t, m.ID)
		report, err := b.Verify(t.Context(), nil)
		if err != nil || len(report.Findings) > 0 || report.Commits != m.Sequence || report.Chain != m.Chain {
			t.Errorf("verify %d: %+v, %v", i, report, err)
		}
		r := newTarget()
		got, err := b.Restore(t.Context(), r.target(), backup.Until{})
		if err != nil || got.Commits != m.Sequence || got.Position != m.Position || got.Streams != 9 || got.Snapshots != 9 {
			t.Errorf("restore %d: %+v, %v", i, got, err)
		}
		if diff := cmp.Diff(want[:m.Sequence], commits(t, r.log)); diff != "" {
			t.Fatalf("-want +restored:\n%s", diff)
		}
		if !maps.EqualFunc(r.table, source.Tables[0].(table), bytes.Equal) {
			t.Errorf("table: %v", r.table)
		}
	}
	all, err := backup.List(t.Context(), s.vault, namespace)
	if err != nil || len(all) != 4 || all[0].ID != manifests[0].ID || all[3].Manifest.Parent != manifests[2].ID {
		t.Errorf("list: %v, %v", all, err)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.grow(t, 30)
	s.create(t, backup.Source{}, backup.Options{})
	s.grow(t, 30)
	m := s.create(t, backup.Source{}, backup.Options{Full: true})
	if !m.Full() || m.Commits != 60 || len(s.open(t, m.ID).Parts()) != 1 {
		t.Errorf("%+v", m)
	}
	if last := s.open(t, ""); last.Manifest().ID != m.ID {
		t.Errorf("the last is %s", last.Manifest().ID)
	}
}

// An empty namespace has a backup too.
func TestEmptyNamespace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.create(t, backup.Source{}, backup.Options{})
	if m.Position != 0 || len(m.Log) > 0 {
		t.Errorf("%+v", m)
	}
	r := newTarget()
	if got, err := s.open(t, "").Restore(t.Context(), r.target(), backup.Until{}); err != nil || got.Commits != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	s.grow(t, 3)
	if m := s.create(t, backup.Source{}, backup.Options{}); m.Commits != 3 || m.Full() {
		t.Errorf("%+v", m)
	}
}

func TestRestoreUntil(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.grow(t, 200)
	s.snapshot(t)
	s.grow(t, 100)
	s.create(t, backup.Source{Snapshots: s.snapshots}, backup.Options{})
	want := commits(t, s.log)
	for what, c := range map[string]struct {
		until backup.Until
		last  uint64
	}{
		"a position":              {backup.Until{Position: want[120].Last()}, 121},
		"within a commit":         {backup.Until{Position: store.PositionOf(77, 0)}, 77},
		"a time":                  {backup.Until{Time: want[249].Time}, 250},
		"between two":             {backup.Until{Time: want[249].Time.Add(time.Millisecond)}, 250},
		"the first":               {backup.Until{Time: epoch}, 1},
		"after all":               {backup.Until{Time: epoch.Add(time.Hour)}, 300},
		"the earlier of the two":  {backup.Until{Time: want[249].Time, Position: want[9].Last()}, 10},
		"the last event's":        {backup.Until{Position: want[299].Last()}, 300},
		"the time of the last is": {backup.Until{Time: want[299].Time}, 300},
	} {
		r := newTarget()
		got, err := s.open(t, "").Restore(t.Context(), r.target(), c.until)
		if err != nil || got.Sequence != c.last {
			t.Errorf("%s: %+v, %v", what, got, err)
			continue
		}
		if diff := cmp.Diff(want[:c.last], commits(t, r.log), cmp.Comparer(func(a, b []*store.Commit) bool { return len(a) == len(b) })); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		for id := range s.heads {
			if snapshot, err := r.log.Load(t.Context(), id); err == nil && snapshot.Position > got.Position {
				t.Errorf("%s: a snapshot of %s is from later", what, id)
			}
		}
	}
	for what, until := range map[string]backup.Until{
		"beyond the end":           {Position: want[299].Last() + 1},
		"before the first commit":  {Time: epoch.Add(-time.Millisecond)},
		"no commit's position":     {Position: 1},
		"a position, but too soon": {Position: want[299].Last(), Time: epoch.Add(-time.Hour)},
	} {
		r := newTarget()
		checked := s.open(t, "").Check(t.Context(), until)
		_, err := s.open(t, "").Restore(t.Context(), r.target(), until)
		if !errors.Is(checked, store.ErrInvalid) || !errors.Is(err, store.ErrInvalid) || r.end != 0 {
			t.Errorf("%s: %v, %v, %d commits were stored", what, checked, err, r.end)
		}
	}
}

// A restore goes on where one was interrupted.
func TestRestoreGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.grow(t, 300)
	s.create(t, backup.Source{}, backup.Options{})
	r := newTarget()
	for r.most = 100; r.most <= 200; r.most += 100 {
		if _, err := s.open(t, "").Restore(t.Context(), r.target(), backup.Until{}); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
	}
	r.most = 0
	got, err := s.open(t, "").Restore(t.Context(), r.target(), backup.Until{})
	if err != nil || got.Found != 200 || got.Commits != 300 {
		t.Fatalf("%+v, %v", got, err)
	}
	if diff := cmp.Diff(commits(t, s.log), commits(t, r.log)); diff != "" {
		t.Error(diff)
	}
}

// What is in the namespace is not what the backup has: found when it is read back.
func TestRestoreOverAnother(t *testing.T) {
	t.Parallel()
	s, other := newSite(t), newSite(t)
	s.grow(t, 30)
	s.create(t, backup.Source{}, backup.Options{})
	other.random = rand.New(rand.NewPCG(3, 4))
	other.grow(t, 30)
	r := &target{log: other.log, end: 30}
	if _, err := s.open(t, "").Restore(t.Context(), r.target(), backup.Until{}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("another history: %v", err)
	}
	other.grow(t, 1)
	r.end = 31
	if _, err := s.open(t, "").Restore(t.Context(), r.target(), backup.Until{}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a longer one: %v", err)
	}
}

// A backup goes on only from the end of its own history.
func TestCreateOfAnotherHistory(t *testing.T) {
	t.Parallel()
	s, other := newSite(t), newSite(t)
	s.grow(t, 30)
	s.create(t, backup.Source{}, backup.Options{})
	other.random = rand.New(rand.NewPCG(3, 4))
	other.grow(t, 20)
	var parent *backup.ParentError
	_, err := backup.Create(t.Context(), s.vault, namespace, backup.Source{Log: other.log}, backup.Options{})
	if !errors.Is(err, store.ErrAhead) || !errors.As(err, &parent) || !strings.Contains(err.Error(), parent.ID) {
		t.Errorf("a shorter log: %v", err)
	}
	other.grow(t, 20)
	_, err = backup.Create(t.Context(), s.vault, namespace, backup.Source{Log: other.log}, backup.Options{})
	if !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrAhead) || !errors.As(err, &parent) {
		t.Errorf("a longer log of another history: %v", err)
	}
	twin := newSite(t)
	twin.n = 1000 // the same streams and positions, other commits
	twin.grow(t, 30)
	_, err = backup.Create(t.Context(), s.vault, namespace, backup.Source{Log: twin.log}, backup.Options{})
	if !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a log of another history that ends at the same position: %v", err)
	}
	if all, err := backup.List(t.Context(), s.vault, namespace); err != nil || len(all) != 1 {
		t.Errorf("%d backups, %v", len(all), err)
	}
	json, err := backup.Create(t.Context(), s.vault, namespace, backup.Source{Log: store.NewMemory(store.MemoryConfig{Codec: store.JSON})}, backup.Options{})
	if !errors.Is(err, store.ErrInvalid) || !errors.As(err, &parent) {
		t.Errorf("another codec: %v, %v", json, err)
	}
}

// What an interrupted backup left is no backup, and is removed a day later.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.grow(t, 3)
	for _, name := range []string{"shop/20250101T000000.000Z-abc/log-000001", "shop/20250102T000000.000Z-abc/log-000001"} {
		if err := segment.WriteFile(t.Context(), s.vault, name, []byte("half")); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(filepath.Join(s.dir, "shop/20250101T000000.000Z-abc/log-000001"), old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Open(t.Context(), s.vault, namespace, ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no backup is there: %v", err)
	}
	s.create(t, backup.Source{}, backup.Options{})
	left, err := s.vault.List(t.Context(), "shop/2025")
	if err != nil || len(left) != 1 || !strings.HasPrefix(left[0].Name, "shop/20250102") {
		t.Errorf("left: %v, %v", left, err)
	}
	if all, err := backup.List(t.Context(), s.vault, namespace); err != nil || len(all) != 1 {
		t.Errorf("%d backups, %v", len(all), err)
	}
}

// What no backup wrote stays, however old it is: an archive may share the vault,
// and a vault may be a directory with a folder of the namespace's name in it.
func TestFilesOfOthersStay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.grow(t, 3)
	others := []string{"shop/20250101T000000Z-abcdef01/000001.seg", "shop/20250101T000000Z-abcdef01/run.json", "shop/main.go", "shop/cart/log-000001"}
	old := time.Now().Add(-25 * time.Hour)
	for _, name := range others {
		if err := segment.WriteFile(t.Context(), s.vault, name, []byte("of another")); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(s.dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	s.create(t, backup.Source{}, backup.Options{})
	for _, name := range others {
		if _, err := segment.ReadFile(t.Context(), s.vault, name, 100); err != nil {
			t.Errorf("a backup has removed it: %v", err)
		}
	}
}

// A log that lost its end and went on to the very same position is another history,
// though there is nothing to add.
func TestCreateOfAnotherHistoryOfTheSameLength(t *testing.T) {
	t.Parallel()
	s, other := newSite(t), newSite(t)
	s.grow(t, 30)
	m := s.create(t, backup.Source{}, backup.Options{})
	other.n = 1000 // the same streams and events, of other commands
	other.grow(t, 30)
	if tip, err := other.log.Tip(t.Context()); err != nil || tip != m.Position {
		t.Fatalf("the log ends at %d, %v; the backup at %d", tip, err, m.Position)
	}
	_, err := backup.Create(t.Context(), s.vault, namespace, backup.Source{Log: other.log}, backup.Options{})
	if !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrAhead) {
		t.Errorf("another history of the same length: %v", err)
	}
}
