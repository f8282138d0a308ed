package archive

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

const (
	format = 1
	// entryName is the file that makes a run's files part of the archive. It is
	// written last.
	entryName = "run.json"
	// maxEntryBytes is the largest entry that is read: one of some million streams.
	maxEntryBytes = 64 << 20
)

// Run is what one run has moved.
type Run struct {
	// Name is the run's own, and sorts by time.
	Name string `json:"name"`
	// Time is when it was written, in UTC.
	Time    time.Time `json:"time"`
	Commits uint64    `json:"commits"`
	Events  uint64    `json:"events"`
	Streams int       `json:"streams"`
	// First and Last are the sequences of its first and last commit; commits that
	// it does not have may lie between.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	// Raw and Size are bytes, uncompressed and of the files.
	Raw  int64 `json:"raw_bytes"`
	Size int64 `json:"bytes"`
}

// entry is a run as it is stored.
type entry struct {
	Format    int        `json:"format"`
	Namespace string     `json:"namespace"`
	Codec     string     `json:"codec"`
	Run       Run        `json:"run"`
	Segments  []*shelved `json:"segments"`
}

// shelved is one file of commits.
type shelved struct {
	Name    string      `json:"name"`
	Size    int64       `json:"bytes"`
	Sum     segment.Sum `json:"sha256"`
	First   uint64      `json:"first"`
	Last    uint64      `json:"last"`
	Commits uint64      `json:"commits"`
	// Streams are the hashes of the streams that have commits in it, sorted, eight
	// bytes each: to know which files need not be opened.
	Streams []byte `json:"streams"`
}

// catalogue is what all runs have moved. It does not change once it is read.
type catalogue struct {
	entries  []*entry
	segments []*shelved
}

// load reads the entries that are not in seen. It returns seen if there are none.
// A vault in which some of seen are gone is [store.ErrUnavailable].
func (a *Archive) load(ctx context.Context, seen *catalogue) (*catalogue, error) {
	files, err := a.config.Vault.List(ctx, a.config.Namespace+"/")
	if err != nil {
		return nil, err
	}
	known := map[string]*entry{}
	for _, e := range seen.entries {
		known[e.Run.Name] = e
	}
	fresh, found := &catalogue{}, 0
	for _, f := range files {
		dir, base := path.Split(f.Name)
		if base != entryName {
			continue
		}
		name := path.Base(dir)
		e := known[name]
		if e == nil {
			if e, err = a.readEntry(ctx, f.Name); err != nil {
				return nil, err
			}
		} else {
			found++
		}
		fresh.entries = append(fresh.entries, e)
	}
	if found < len(seen.entries) {
		// Nothing is ever removed from an archive: this is not it, as where a disk is
		// not mounted.
		return nil, fmt.Errorf("%w: %d of %d runs that were there are not", store.ErrUnavailable, len(seen.entries)-found, len(seen.entries))
	}
	if slices.Equal(fresh.entries, seen.entries) {
		return seen, nil
	}
	for _, e := range fresh.entries {
		fresh.segments = append(fresh.segments, e.Segments...)
	}
	slices.SortFunc(fresh.segments, func(x, y *shelved) int { return cmp.Compare(x.First, y.First) })
	return fresh, nil
}

func (a *Archive) readEntry(ctx context.Context, name string) (*entry, error) {
	data, err := segment.ReadFile(ctx, a.config.Vault, name, maxEntryBytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	e := &entry{}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", store.ErrDamaged, name, err)
	}
	if reason := e.fault(a.config.Namespace, name); reason != "" {
		return nil, fmt.Errorf("%w: %s: %s", store.ErrDamaged, name, reason)
	}
	return e, nil
}

func (e *entry) fault(namespace, name string) string {
	switch {
	case e.Format != format:
		return fmt.Sprintf("it has format %d, this build reads %d", e.Format, format)
	case e.Namespace != namespace || entryOf(namespace, e.Run.Name) != name:
		return "it is the entry of another run: " + entryOf(e.Namespace, e.Run.Name)
	case len(e.Segments) == 0:
		return "it names no files"
	}
	for _, s := range e.Segments {
		if s == nil || len(s.Streams) == 0 || len(s.Streams)%8 != 0 || s.First == 0 || s.Last < s.First || !strings.HasPrefix(s.Name, dirOf(namespace, e.Run.Name)) {
			return "it describes a file that cannot be"
		}
	}
	return ""
}

func dirOf(namespace, run string) string   { return namespace + "/" + run + "/" }
func entryOf(namespace, run string) string { return dirOf(namespace, run) + entryName }

// hashOf returns the number by which files are known to hold a stream.
func hashOf(id store.StreamID) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id.String())) // it never fails
	return h.Sum64()
}

// streamsIn returns the hashes of a file's streams as they are stored.
func streamsIn(r *segment.Reader) (packed []byte) {
	var all []uint64
	for span := range r.Streams() {
		all = append(all, hashOf(span.Stream))
	}
	slices.Sort(all)
	for _, h := range slices.Compact(all) {
		packed = binary.LittleEndian.AppendUint64(packed, h)
	}
	return packed
}

// mayHold reports whether the file has commits of a stream of that hash.
func (s *shelved) mayHold(hash uint64) bool {
	low, high := 0, len(s.Streams)/8
	for low < high {
		middle := (low + high) / 2
		switch at := binary.LittleEndian.Uint64(s.Streams[8*middle:]); {
		case at == hash:
			return true
		case at < hash:
			low = middle + 1
		default:
			high = middle
		}
	}
	return false
}

// Runs returns what was moved, run by run, the oldest first.
func (a *Archive) Runs(ctx context.Context) ([]Run, error) {
	if _, err := a.refresh(ctx, a.current()); err != nil {
		return nil, fmt.Errorf("archive %s: %w", a, err)
	}
	var runs []Run
	for _, e := range a.current().entries {
		runs = append(runs, e.Run)
	}
	return runs, nil
}

// unlisted returns the files of the namespace that belong to no run: those of
// one that did not end, or that is under way.
func (a *Archive) unlisted(ctx context.Context) (lost []segment.Entry, err error) {
	files, err := a.config.Vault.List(ctx, a.config.Namespace+"/")
	if err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	for _, e := range a.current().entries {
		listed[entryOf(e.Namespace, e.Run.Name)] = true
		for _, s := range e.Segments {
			listed[s.Name] = true
		}
	}
	for _, f := range files {
		if !listed[f.Name] {
			lost = append(lost, f)
		}
	}
	return lost, nil
}

// errGone says that a file that a run names is not in the vault.
func gone(name string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: %s is not in the vault", store.ErrDamaged, name)
	}
	return err
}
