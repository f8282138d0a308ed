package backup_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
)

// flip changes one bit in the middle of a file of the vault.
func (s *site) flip(t *testing.T, name string) {
	t.Helper()
	path := filepath.Join(s.dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 4
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A flipped bit in any file of a backup is found, and the file named; what is
// restored from it is refused.
func TestVerifyNamesTheFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"log-000001", "snapshots", "tables", "manifest.json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			source := backup.Source{Snapshots: s.snapshots, Tables: []backup.Table{table{"a": []byte("v2")}}}
			s.grow(t, 300)
			s.snapshot(t)
			s.create(t, source, backup.Options{})
			s.grow(t, 10)
			m := s.create(t, source, backup.Options{})
			file := "shop/" + m.ID + "/" + name
			s.flip(t, file)
			if name == "manifest.json" {
				if _, err := backup.Open(t.Context(), s.vault, namespace, ""); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), file) {
					t.Errorf("open: %v", err)
				}
				all, err := backup.List(t.Context(), s.vault, namespace)
				if err != nil || all[0].Err != nil || !errors.Is(all[1].Err, store.ErrDamaged) {
					t.Errorf("list: %v, %v", all, err)
				}
				return
			}
			b := s.open(t, "")
			report, err := b.Verify(t.Context(), nil)
			if err != nil || len(report.Findings) != 1 || report.Findings[0].File != file {
				t.Fatalf("%+v, %v", report, err)
			}
			var damaged *backup.FileError
			if _, err := b.Restore(t.Context(), newTarget().target(), backup.Until{}); !errors.As(err, &damaged) || damaged.File != file || !errors.Is(err, store.ErrDamaged) {
				t.Errorf("restore: %v", err)
			}
			if err := os.Remove(filepath.Join(s.dir, file)); err != nil {
				t.Fatal(err)
			}
			report, err = b.Verify(t.Context(), nil)
			if err != nil || len(report.Findings) != 1 || report.Findings[0].File != file {
				t.Errorf("it is gone: %+v, %v", report, err)
			}
		})
	}
}

// A backup whose parent is gone, or another, is no backup.
func TestParentIsAnother(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.grow(t, 30)
	first := s.create(t, backup.Source{}, backup.Options{})
	s.grow(t, 30)
	s.create(t, backup.Source{}, backup.Options{})
	if err := os.RemoveAll(filepath.Join(s.dir, "shop", first.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Open(t.Context(), s.vault, namespace, ""); !errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

// changed is a log that delivers what it is told.
type changed struct {
	store.Log
	commits []*store.Commit
	tip     store.Position
	failure error // instead of what follows the commits
}

func (c *changed) Tip(context.Context, ...string) (store.Position, error) { return c.tip, nil }

func (c *changed) Follow(context.Context, store.Follow) (store.Feed, error) {
	return &changedFeed{log: c, rest: c.commits}, nil
}

func (c *changed) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		for known, err := range c.Log.Read(ctx, id, after) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !slices.ContainsFunc(c.commits, func(has *store.Commit) bool { return has.Sequence == known.Sequence }) {
				yield(nil, &store.DamageError{Stream: id, Version: known.After.Version + 1, Sequence: known.Sequence, Reason: "it is gone"})
				return
			}
		}
	}
}

type changedFeed struct {
	log  *changed
	rest []*store.Commit
}

func (f *changedFeed) Next(_ context.Context, limit int) ([]*store.Commit, error) {
	n := min(limit, len(f.rest))
	if n == 0 {
		return nil, f.log.failure
	}
	batch := f.rest[:n]
	f.rest = f.rest[n:]
	return batch, nil
}

func (f *changedFeed) Acknowledge(store.Position) {}
func (f *changedFeed) Pending() uint64            { return uint64(len(f.rest)) }
func (f *changedFeed) Close() error               { return nil }

func TestVerifyLive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.grow(t, 300)
	m := s.create(t, backup.Source{}, backup.Options{})
	s.grow(t, 50)
	s.snapshot(t)
	report, err := backup.Live{Log: s.log, Backup: s.open(t, ""), Snapshots: s.snapshots}.Verify(t.Context())
	if err != nil || len(report.Findings) > 0 || report.Commits != 350 || report.Snapshots != 9 {
		t.Errorf("%+v, %v", report, err)
	}
	again, err := s.open(t, m.ID).Verify(t.Context(), nil)
	if err != nil || again.Chain == report.Chain {
		t.Errorf("%+v, %v", again, err)
	}
}

// Each kind of damage is found and named: with the backup, with nothing but the
// log, or by the snapshots.
func TestVerifyLiveNames(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.grow(t, 300)
	s.create(t, backup.Source{}, backup.Options{})
	s.grow(t, 50)
	s.snapshot(t)
	whole := commits(t, s.log)
	unreadable := errors.Join(store.ErrDamaged, errors.New("the server does not deliver it"))
	other := *whole[200]
	other.Hash[0] ^= 1
	last := whole[349]
	without := func(i int) *changed {
		return &changed{commits: whole[:i], tip: last.Last(), failure: unreadable}
	}
	ends := func(n int) *changed { return &changed{commits: whole[:n], tip: whole[n-1].Last()} }
	for what, c := range map[string]struct {
		log           *changed
		backup, snaps bool
		first         *store.Commit
		says          string
	}{
		"undelivered, with a backup":          {without(100), true, false, whole[100], "does not deliver"},
		"undelivered, beyond the backup":      {without(330), true, false, whole[330], "it is gone"},
		"undelivered, without a backup":       {without(100), false, false, whole[100], "it is gone"},
		"a lost end, with a backup":           {ends(250), true, false, whole[250], "lost its end"},
		"another commit in its place":         {&changed{commits: replaced(whole, 200, &other), tip: last.Last()}, true, false, whole[200], "went on"},
		"another commit, without a backup":    {&changed{commits: replaced(whole, 200, &other), tip: last.Last()}, false, false, nextOf(whole, 200), "follows the hash"},
		"a lost end, known by a snapshot":     {ends(349), false, true, last, "lost its end"},
		"a missing sequence that is not said": {&changed{commits: slices.Delete(slices.Clone(whole), 100, 101), tip: last.Last()}, true, false, whole[100], ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c.log.Log = s.log
			live := backup.Live{Log: c.log}
			if c.backup {
				live.Backup = s.open(t, "")
			}
			if c.snaps {
				live.Snapshots = s.snapshots
			}
			report, err := live.Verify(t.Context())
			if err != nil || len(report.Findings) == 0 {
				t.Fatalf("%+v, %v", report, err)
			}
			got := report.Findings[0]
			want := backup.Finding{Stream: c.first.Stream.String(), Version: c.first.After.Version + 1, Sequence: c.first.Sequence, Reason: got.Reason}
			if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(got.Reason, c.says) {
				t.Errorf("%s\n%s", diff, got.Reason)
			}
		})
	}
}

func replaced(all []*store.Commit, i int, with *store.Commit) []*store.Commit {
	all = slices.Clone(all)
	all[i] = with
	return all
}

// nextOf returns the commit after all[i] in its stream.
func nextOf(all []*store.Commit, i int) *store.Commit {
	for _, c := range all[i+1:] {
		if c.Stream == all[i].Stream {
			return c
		}
	}
	return nil
}

// A log that cannot be asked is an error, not a finding.
func TestVerifyLiveUnavailable(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.grow(t, 20)
	log := &changed{Log: s.log, tip: commits(t, s.log)[19].Last(), failure: store.ErrUnavailable}
	report, err := backup.Live{Log: log}.Verify(t.Context())
	if !errors.Is(err, store.ErrUnavailable) || len(report.Findings) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}
