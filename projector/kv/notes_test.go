package kv_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
)

// bucketOfNotes is a view whose notes are looked at as power cuts leave them.
type bucketOfNotes struct {
	t    *testing.T
	conn *nats.Conn
	view projector.View
}

func openNotes(t *testing.T) *bucketOfNotes {
	conn := connect(t, startServer(t))
	return &bucketOfNotes{t: t, conn: conn, view: openWith(t, kv.Config{Conn: conn, Namespace: "app"})}
}

// commit stores documents at the next position and notes "key=value", or "key"
// for a deletion.
func (b *bucketOfNotes) commit(c projector.Checkpoint, docs string, notes ...string) projector.Checkpoint {
	b.t.Helper()
	c.Position++
	w := projector.Write{Checkpoint: c, Documents: at(c.Position, strings.Fields(docs)...)}
	for _, n := range notes {
		key, value, ok := strings.Cut(n, "=")
		w.Notes = append(w.Notes, projector.Note{Key: key})
		if ok {
			w.Notes[len(w.Notes)-1].Value = json.RawMessage(value)
		}
	}
	c, err := b.view.Commit(b.t.Context(), w)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// loseDocument takes a document's last values away, as a disk may.
func (b *bucketOfNotes) loseDocument(key string) {
	b.t.Helper()
	if err := totalsStream(b.t, b.conn).Purge(b.t.Context(), jetstream.WithPurgeSubject("$KV.ANNALS_app_view_totals_v1.d."+key)); err != nil {
		b.t.Fatal(err)
	}
}

// leaveNote stores a note as the beginning of a commit that lost its end.
func (b *bucketOfNotes) leaveNote(key, value string) {
	b.t.Helper()
	m := nats.NewMsg("$KV.ANNALS_app_view_totals_v1.n.0." + key)
	m.Data = []byte(value)
	if value == "" {
		m.Header.Set("KV-Operation", "DEL")
	}
	js, err := jetstream.New(b.conn)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := js.PublishMsg(b.t.Context(), m); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bucketOfNotes) load() projector.Checkpoint {
	b.t.Helper()
	c, err := b.view.Load(b.t.Context(), "0")
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *bucketOfNotes) has(when string, want ...string) {
	b.t.Helper()
	notes, err := b.view.Notes(b.t.Context(), "0")
	if err != nil {
		b.t.Fatal(err)
	}
	var got []string
	for _, n := range notes {
		got = append(got, fmt.Sprintf("%s=%s", n.Key, n.Value))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("%s: notes (-want +got):\n%s", when, diff)
	}
}

// Notes of a commit that does not count do not either: not when they are read,
// and not after the next commit.
func TestNotesOfATornCommit(t *testing.T) {
	t.Parallel()
	b := openNotes(t)
	first := b.commit(projector.Checkpoint{Worker: "0"}, "a", "changed=1", "deleted=1", "kept=1")
	torn := b.commit(first, "b", "changed=2", "deleted", "made=2")
	b.has("before the cut", "changed=2", "kept=1", "made=2")
	b.loseDocument("b")
	b.has("before the checkpoint is loaded", "changed=1", "deleted=1", "kept=1")
	c := b.load()
	if c.Position != first.Position || c.Furthest != torn.Position || c.Revision <= torn.Revision {
		t.Errorf("checkpoint is %+v, of a commit before %+v", c, torn)
	}
	b.has("after the checkpoint is loaded", "changed=1", "deleted=1", "kept=1")
	c.Furthest = 0
	c = b.commit(c, "c", "other=3")
	b.has("after the next commit", "changed=1", "deleted=1", "kept=1", "other=3")
	if diff := cmp.Diff(c, b.load()); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
}

// The same for notes whose commit lost its checkpoint.
func TestNotesWithoutCheckpoint(t *testing.T) {
	t.Parallel()
	b := openNotes(t)
	b.commit(projector.Checkpoint{Worker: "0"}, "a", "changed=1", "deleted=1")
	b.leaveNote("changed", "2")
	b.leaveNote("deleted", "")
	b.leaveNote("made", "2")
	b.has("before the checkpoint is loaded", "changed=1", "deleted=1")
	c := b.commit(b.load(), "b")
	b.has("after the next commit", "changed=1", "deleted=1")
	if diff := cmp.Diff(c, b.load()); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
}

// Where no checkpoint counts, no notes do: the view is applied again from the
// first event.
func TestNotesOfNoCheckpoint(t *testing.T) {
	t.Parallel()
	b := openNotes(t)
	b.leaveNote("left", "1")
	b.has("before the checkpoint is loaded")
	c := b.commit(b.load(), "a b", "made=1")
	b.has("after the first commit", "made=1")
	b.loseDocument("a")
	b.has("after the first commit was torn")
	c2 := b.load()
	if c2.Position != 0 || c2.Furthest != c.Position || c2.Revision != c.Revision {
		t.Errorf("checkpoint is %+v, want none of %+v", c2, c)
	}
	c2.Furthest = 0
	b.commit(c2, "a b")
	b.has("after the next commit")
}

// A bucket that is made anew has no revision that an old one had.
func TestDroppedRevisionsDoNotComeAgain(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	s, model := kv.New(kv.Config{Conn: conn, Namespace: "app"}), projector.Model{View: "totals", Version: 1, Build: 3}
	var highest uint64
	for range 3 {
		v, err := s.Open(t.Context(), projector.Layout{Model: model})
		if err != nil {
			t.Fatal(err)
		}
		first := commitAt(t, v, projector.Checkpoint{Worker: "0"}, 1)
		if first.Revision <= highest {
			t.Errorf("revision %d comes after %d", first.Revision, highest)
		}
		highest = commitAt(t, v, first, 2, "a", "b").Revision
		if err := s.Drop(t.Context(), model); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Commit(t.Context(), projector.Write{Checkpoint: first}); !errors.Is(err, projector.ErrFenced) {
			t.Errorf("commit to a dropped bucket: %v, want ErrFenced", err)
		}
	}
}
