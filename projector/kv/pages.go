package kv

import (
	"context"
	"slices"

	"github.com/annals-go/annals/projector"
)

// maxLooks bounds how many pages of nothing but replaced values one call of
// List passes over.
const maxLooks = 8

// List implements [projector.View]. The bucket holds replaced values too: a page
// that has nothing else is passed over, by ever longer steps.
func (v *view) List(ctx context.Context, cursor string, limit int, since ...projector.Checkpoint) ([]projector.Document, string, error) {
	from, err := parseCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	p, step := page{place: from}, limit
	for look := 0; look < maxLooks && len(p.docs) == 0 && !p.last; look++ {
		if p, err = v.freshPage(ctx, p.place, step, limit, since); err != nil {
			return nil, "", v.failed("list documents", err)
		}
		step = min(2*step, projector.MaxPage)
	}
	if p.last {
		return p.docs, "", nil
	}
	return p.docs, p.cursor(), nil
}

// page is what a piece of the stream holds.
type page struct {
	docs  []projector.Document
	place      // where it ends
	last  bool // there is nothing behind it
}

// freshPage returns the page after a place. A document that changes moves to the
// end, so it can be missed only where a replica that is behind says that there is
// no more: the last page must come from one that has what the leader had before,
// and what the other pages left for later. The leader says less than that while
// it applies more slowly than a replica does.
func (v *view) freshPage(ctx context.Context, from place, step, limit int, since []projector.Checkpoint) (p page, err error) {
	err = v.fresh(ctx, func() (fresh bool, err error) {
		read := newest(since).Revision
		has := read
		for _, c := range since {
			leader, err := v.revision(ctx, c.Worker)
			if err != nil {
				return false, err
			}
			has = max(has, leader)
		}
		p, fresh, err = v.page(ctx, from, step, limit, read)
		return fresh && (!p.last || p.through >= max(has, p.beyond)), err
	})
	return p, err
}

// page reads the next messages, so many as step says, and then the last values
// of their keys. Whatever last value is within the piece that was read belongs
// to the page; one that is behind it comes with a later page. The values are those
// of a replica that has at least the revision read. fresh is false if the messages
// are those of a replica that has fewer than the page before.
func (v *view) page(ctx context.Context, from place, step, limit int, read uint64) (p page, fresh bool, err error) {
	seen, err := v.ofPage(ctx, getRequest{Sequence: from.through + 1, Batch: step}, step)
	if err != nil || uint64(len(seen.found))+seen.left < from.behind {
		return page{}, false, err
	}
	p.through = max(from.through, seen.furthest())
	last, err := v.lastValues(ctx, seen.found, max(p.through, read))
	if err != nil {
		return page{}, false, err
	}
	p.beyond = max(from.beyond, last.furthest())
	if last.left > 0 { // it was too much for one answer, which goes no further than this
		p.through, p.beyond = min(p.through, last.furthest()), max(p.beyond, last.upTo)
	}
	here := last.found[:countThrough(last.found, p.through)]
	p.last = seen.left == 0 && last.left == 0 && len(here) == len(last.found)
	if len(here) > limit {
		here, p.last = here[:limit], false
		p.through = here[limit-1].sequence
	}
	p.behind = seen.left + uint64(len(seen.found)-countThrough(seen.found, p.through))
	if p.docs, err = v.toDocuments(here); err != nil {
		return page{}, false, err
	}
	p.docs = slices.DeleteFunc(p.docs, func(d projector.Document) bool { return d.Document == nil })
	return p, true, nil
}

// lastValues returns the last values of the documents among the messages, from
// a replica that has the stream up to through.
func (v *view) lastValues(ctx context.Context, seen []*message, through uint64) (last answers, err error) {
	var subjects []string
	for _, m := range seen {
		if v.names.isDocument(m.subject) {
			subjects = append(subjects, m.subject)
		}
	}
	slices.Sort(subjects)
	subjects = slices.Compact(subjects)
	if len(subjects) == 0 {
		return answers{}, nil
	}
	err = v.fresh(ctx, func() (bool, error) {
		last, err = v.ofPage(ctx, getRequest{MultiLast: subjects}, len(subjects))
		return last.upTo >= through, err
	})
	return last, err
}

// countThrough returns how many of the messages are not beyond a sequence.
func countThrough(sorted []*message, sequence uint64) int {
	for i, m := range sorted {
		if m.sequence > sequence {
			return i
		}
	}
	return len(sorted)
}
