//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// sighting is an answer of the view marked to a reader.
type sighting struct {
	reader     int
	sent, done time.Duration // since the readers began
	version    int
}

// readers ask for one document of the view marked, one at each node, all the time.
type readers struct {
	key   string
	began time.Time

	mu   sync.Mutex
	seen []sighting
	errs []error
}

// readPause is how long a reader pauses: how exactly a switch is timed.
const readPause = 2 * time.Millisecond

// watch reads until ctx ends.
func (r *readers) watch(ctx context.Context, clients []asker) {
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() {
			for pause(ctx, readPause) == nil {
				r.read(c, i)
			}
		})
	}
	all.Wait()
}

func (r *readers) read(c asker, reader int) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	s := sighting{reader: reader, sent: time.Since(r.began)}
	d, err := c.Get(ctx, viewMarked, r.key, 0)
	s.done = time.Since(r.began)
	if err == nil {
		s.version, err = versionOf(d)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("reader %d: %w", reader, err))
		return
	}
	r.seen = append(r.seen, s)
}

// since returns what was seen in answer to questions after that moment, or
// before it with the answer still to come.
func (r *readers) since(moment time.Duration) []sighting {
	r.mu.Lock()
	defer r.mu.Unlock()
	var after []sighting
	for _, s := range r.seen {
		if s.done >= moment {
			after = append(after, s)
		}
	}
	return after
}

// failures returns how many questions had no answer, and the first of the errors.
func (r *readers) failures() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.errs) == 0 {
		return 0, nil
	}
	return len(r.errs), r.errs[0]
}

// settled reports whether each of so many readers was last told the version, and
// has asked again since.
func settled(seen []sighting, readers, version int) bool {
	latest := make([]int, readers) // answers in a row of the new version
	for _, s := range sorted(seen) {
		if s.version == version {
			latest[s.reader]++
		} else {
			latest[s.reader] = 0
		}
	}
	return slices.Min(latest) >= confirmations
}

// confirmations is how many answers in a row settle that a reader has the new version.
const confirmations = 20

func sorted(seen []sighting) []sighting {
	return slices.SortedFunc(slices.Values(seen), func(a, b sighting) int { return int(a.done - b.done) })
}

// switchOf returns how long after from the last reader had the version, and how
// many answers were of another though their question came after somebody had
// been told the new one: the switch was then not one step.
func switchOf(seen []sighting, from time.Duration, version int) (took time.Duration, mixed int) {
	first := time.Duration(-1) // when anybody was told first
	reached := map[int]time.Duration{}
	for _, s := range sorted(seen) {
		if s.version != version {
			delete(reached, s.reader)
			if first >= 0 && s.sent > first {
				mixed++
			}
			continue
		}
		if first < 0 {
			first = s.done
		}
		if _, there := reached[s.reader]; !there {
			reached[s.reader] = s.done
		}
	}
	for _, at := range reached {
		took = max(took, at-from)
	}
	return took, mixed
}
