package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
	"github.com/annals-go/annals/store/privacy"
)

// forgetting is a node's part in the forgetting of data subjects: it takes the steps that
// concern more than the key store, and goes on with what others left.
type forgetting struct {
	*member
	forgetter *privacy.Forgetter
	seen      seen
}

var _ gateway.Subjects = (*forgetting)(nil)

func newForgetting(m *member) (*forgetting, error) {
	f := &forgetting{member: m}
	var err error
	f.forgetter, err = privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: m.keys, Purge: f.purgeAll, Audit: f.audit,
		Notice: func(ctx context.Context, e privacy.Erasure, subject string) (store.Position, error) {
			return m.ledger.Forget(ctx, subject, e)
		},
	})
	return f, err
}

// Forget implements [gateway.Subjects].
func (f *forgetting) Forget(ctx context.Context, r privacy.Request) (privacy.Receipt, error) {
	return f.forgetter.Forget(ctx, r)
}

// Subject implements [gateway.Subjects]. What the key store has lost and the log has a notice of is
// in it, as far as the log can be asked.
func (f *forgetting) Subject(ctx context.Context, subject string) (privacy.Record, error) {
	record, err := f.keyring.Record(ctx, subject)
	if err != nil {
		record, err = f.keys.Load(ctx, subject)
	}
	return record.Bare(), err
}

// Realm implements [gateway.Subjects].
func (f *forgetting) Realm() uuid.UUID { return f.keys.Realm() }

// Erasures implements [gateway.Subjects]. It reads all records, and holds few.
func (f *forgetting) Erasures(ctx context.Context, after string, limit int) ([]privacy.Record, error) {
	var found []privacy.Record
	for r, err := range f.keys.All(ctx) {
		if err != nil {
			return nil, err
		}
		if len(r.Erased) == 0 || r.Subject <= after {
			continue
		}
		if found = append(found, r.Bare()); len(found) >= 4*limit {
			found = firstSubjects(found, limit)
		}
	}
	return firstSubjects(found, limit), nil
}

func firstSubjects(all []privacy.Record, limit int) []privacy.Record {
	slices.SortFunc(all, func(a, b privacy.Record) int { return strings.Compare(a.Subject, b.Subject) })
	return all[:min(limit, len(all))]
}

// audit writes down that a subject was forgotten, in the month in which that began.
func (f *forgetting) audit(ctx context.Context, r privacy.Receipt) error {
	return f.ledger.Record(ctx, ledger.Act{
		ID: r.ID.String(), Action: "subject.forgotten", What: r.Subject, By: r.By, Why: r.Why,
		Outcome: ledger.Done, At: r.At, Node: f.node.Name,
	})
}

// Purge implements [gateway.Subjects]: the keyring first, so that nothing is loaded anew under an
// erased key.
func (f *forgetting) Purge(ctx context.Context, subject string) error {
	if err := f.keyring.Purge(ctx, subject); err != nil {
		return err
	}
	record, err := f.keys.Load(ctx, subject)
	if err != nil {
		return err
	}
	var keys []store.KeyRef
	for _, e := range record.Erased {
		if e.Key != (store.KeyID{}) {
			keys = append(keys, store.KeyRef{Subject: subject, ID: e.Key})
		}
	}
	if err := f.actors.Purge(ctx, keys); err != nil {
		return err
	}
	return f.views.Forget(ctx, keys)
}

const (
	// purgeWait is how long a node has to answer before it is asked again, or is found
	// to be gone.
	purgeWait = 10 * time.Second
	// purgeAgain is the pause before that.
	purgeAgain = 200 * time.Millisecond
	// purgeAtOnce is how many nodes are asked side by side.
	purgeAtOnce = 16
)

// purgeAll returns when every node has said that it has nothing of the subject in memory any more. One
// that is gone, and one that went lately, says nothing: it can read nothing once its keys are
// too old.
func (f *forgetting) purgeAll(ctx context.Context, subject string) error {
	if f.alone {
		return f.Purge(ctx, subject)
	}
	nodes, err := f.sessions(ctx)
	if err != nil {
		return err
	}
	nodes[f.node.Name] = "" // whatever the directory says
	var all errgroup.Group
	all.SetLimit(purgeAtOnce)
	all.Go(func() error { return outlive(ctx, f.seen.lastOfOthers(nodes, time.Now()), "a node that is gone") })
	for node, session := range nodes {
		all.Go(func() error { return f.purgeOn(ctx, node, session, subject) })
	}
	return all.Wait()
}

// outlive returns when the keys of whoever was there at a time are too old to be used.
func outlive(ctx context.Context, last time.Time, who string) error {
	if last.IsZero() {
		return nil
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: %s may have the key until %s", store.ErrUnavailable, who, last.Add(keyAge).UTC().Format(time.RFC3339))
	case <-time.After(time.Until(last.Add(keyAge))):
		return nil
	}
}

func (f *forgetting) purgeOn(ctx context.Context, node, session, subject string) error {
	if node == f.node.Name {
		return f.Purge(ctx, subject)
	}
	for {
		once, cancel := context.WithTimeout(ctx, purgeWait)
		err := f.gateway.AskPurge(once, node, subject)
		cancel()
		if err == nil {
			return nil
		}
		if now, looked := f.sessions(ctx); looked == nil && now[node] != session {
			return outlive(ctx, time.Now(), "node "+node+", which is gone,")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: node %s has not said that it dropped the key: %s", store.ErrUnavailable, node, err.Error())
		case <-time.After(purgeAgain):
		}
	}
}

// seen remembers when nodes were seen last, by session.
type seen struct {
	mu       sync.Mutex
	sessions map[string]sighting
}

// sighting is what is known of a session.
type sighting struct {
	node string
	gone time.Time // when it was missed first; zero: it was there when it was looked last
}

// note takes down who is there, and drops who has not been for long.
func (s *seen) note(nodes map[string]string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions == nil {
		s.sessions = map[string]sighting{}
	}
	for session, is := range s.sessions {
		switch {
		case nodes[is.node] == session:
		case is.gone.IsZero():
			s.sessions[session] = sighting{is.node, now}
		case now.Sub(is.gone) > 2*keyAge:
			delete(s.sessions, session)
		}
	}
	for node, session := range nodes {
		s.sessions[session] = sighting{node: node}
	}
}

// lastOfOthers is until when the last of those may have been there that are not among the nodes, which
// are those of now; zero if there is none. Whoever was there when it was looked last may have
// been until now, however long ago that is.
func (s *seen) lastOfOthers(nodes map[string]string, now time.Time) (last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for session, is := range s.sessions {
		if nodes[is.node] == session {
			continue
		}
		at := is.gone
		if at.IsZero() {
			at = now
		}
		if at.After(last) {
			last = at
		}
	}
	return last
}

// sessions are those of all nodes, by name.
func (f *forgetting) sessions(ctx context.Context) (map[string]string, error) {
	admin, err := cluster.OpenAdmin(ctx, cluster.AdminConfig{Conn: f.conn, Namespace: f.session.Namespace()})
	if err != nil {
		return nil, err
	}
	nodes, err := admin.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	sessions := map[string]string{}
	for _, n := range nodes {
		sessions[n.Name] = n.Session
	}
	return sessions, nil
}
