package projectortest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

var personalCases = []testCase{
	{"a document with personal data in plain is refused", plainRefused},
	{"personal data are stored sealed and read in plain", sealedAndOpened},
	{"what was forgotten is left out, and is not stored again", forgottenLeftOut},
	{"rows of a forgotten person are gone, also from files", forgottenRows},
	{"rows of a forgotten person are gone from files under load", forgottenUnderLoad},
	{"rows that hold a person are told page by page", rowsHeld},
}

// marker is personal, and must never be seen where it is stored.
const marker = "MARKER-of-a-person"

// profile is a document about two persons.
type profile struct {
	Owner string            `json:"owner"`
	Name  string            `json:"name" personal:"owner"`
	Home  map[string]string `json:"home" personal:"owner"`
	Notes []remark          `json:"notes"`
	Own   string            `json:"own" personal:"@id"`
	Count int               `json:"count"`
}

type remark struct {
	By   string `json:"by"`
	Text string `json:"text" personal:"by"`
}

func aProfile(count int) profile {
	return profile{
		Owner: "ann", Name: marker + " é <&> \" 1", Home: map[string]string{"street": marker + "2", "town": "x\u0000"}, Count: count,
		Notes: []remark{{By: "ann", Text: marker + "3"}, {By: "bob", Text: marker + strings.Repeat("4", 70_000)}}, Own: marker + "5",
	}
}

// sealing is a store that seals, what is below it, and what it seals with.
type sealing struct {
	below, sealed projector.Store
	keys          *privacy.Memory
	ring          *privacy.Keyring
}

func sealingOver(t *testing.T, below projector.Store) *sealing {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := privacy.GenerateFile(path, "first"); err != nil {
		t.Fatal(err)
	}
	file, err := privacy.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &sealing{below: below, keys: privacy.NewMemory()}
	if s.ring, err = privacy.NewKeyring(privacy.KeyringConfig{Keys: s.keys, Wrapper: file}); err != nil {
		t.Fatal(err)
	}
	s.sealed = projector.NewSealed(below, s.ring)
	s.hear(t, profileDoc(t, aProfile(1)))
	return s
}

// hear has what is personal in a document come in an event: views give nobody a key.
func (s *sealing) hear(t *testing.T, d projector.Document) {
	t.Helper()
	for i := range d.Personal {
		if p := &d.Personal[i]; p.Subject == "" {
			p.Subject = d.Key
		}
	}
	scope := privacy.Scope{Kind: privacy.KindEvent, Stream: store.StreamID{Type: "profile", ID: d.Key}, Type: "heard"}
	if _, _, err := s.ring.Seal(within(t), scope, store.JSON, d.Document, d.Personal); err != nil {
		t.Fatal(err)
	}
}

// forget erases a person's key, and returns the notice of that.
func (s *sealing) forget(t *testing.T, subject string, notice func(privacy.Notice) store.Position) {
	t.Helper()
	f, err := privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: s.keys, Purge: s.ring.Purge,
		Notice: func(_ context.Context, e privacy.Erasure, subject string) (store.Position, error) {
			return notice(privacy.NoticeOf(subject, e)), nil
		},
	})
	if err == nil {
		_, err = f.Forget(within(t), privacy.Request{Subject: subject, By: "test", Why: "asked"})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// profileDoc is a profile as the document "p" at position 1, with what is personal in it.
func profileDoc(t *testing.T, p profile) projector.Document {
	t.Helper()
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	personal, err := store.PersonalSpans(store.JSON, p, data)
	if err != nil {
		t.Fatal(err)
	}
	return projector.Document{Key: "p", Position: 1, Document: data, Personal: personal}
}

func profileOf(t *testing.T, d projector.Document) profile {
	t.Helper()
	var p profile
	if err := json.Unmarshal(d.Document, &p); err != nil {
		t.Fatalf("document is %q: %v", d.Document, err)
	}
	return p
}

// partsOf are the personal parts of a document, as they stand in it, by path; a store may write the
// members in another order.
func partsOf(d projector.Document) map[string]string {
	parts := map[string]string{}
	for _, p := range d.Personal {
		subject := p.Subject
		if subject == "" {
			subject = d.Key
		}
		parts[p.Path] = subject + " " + string(d.Document[p.Start:p.End])
	}
	return parts
}

func plainRefused(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := load(t, v)
	w := projector.Write{Checkpoint: moved(c), Documents: []projector.Document{doc("fine", 1, 1), profileDoc(t, aProfile(1))}}
	if _, err := v.Commit(within(t), w); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("stored: %v", err)
	}
	if got := get(t, v, c, "fine", "p"); len(got) != 0 || load(t, v).Revision != 0 {
		t.Errorf("there is %v", got)
	}
}

func sealedAndOpened(t *testing.T, h Harness) {
	s := sealingOver(t, h.Open(t))
	below, v := open(t, s.below), open(t, s.sealed)
	want := profileDoc(t, aProfile(7))
	c := commit(t, v, load(t, v), want, doc("fine", 1, 1))
	stored := get(t, below, c, "p", "fine")
	if bytes.Contains(stored["p"].Document, []byte(marker)) || stored["p"].Personal != nil || valueOf(t, stored["fine"]) != 1 {
		t.Errorf("stored is %.300s", stored["p"].Document)
	}
	searched(t, h, s.below)
	got := get(t, v, c, "p", "fine")["p"]
	if diff := cmp.Diff(profileOf(t, want), profileOf(t, got)); diff != "" {
		t.Errorf("read is (-want +got):\n%.2000s", diff)
	}
	if diff := cmp.Diff(partsOf(want), partsOf(got)); diff != "" {
		t.Errorf("personal is (-want +got):\n%.2000s", diff)
	}
	page, _, err := v.List(within(t), "", 10, c)
	if err != nil || len(page) != 2 {
		t.Fatalf("listed %v, %v", page, err)
	}
	for _, d := range page {
		if d.Key == "p" && !cmp.Equal(profileOf(t, want), profileOf(t, d)) {
			t.Errorf("listed is %.300s", d.Document)
		}
	}
	moved := stored["p"]
	moved.Key, moved.Position = "other", 2
	commit(t, below, load(t, below), moved)
	if _, err := v.Get(within(t), []string{"other"}, load(t, v)); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("what was sealed under another key of the view is read: %v", err)
	}
}

func forgottenLeftOut(t *testing.T, h Harness) {
	s := sealingOver(t, h.Open(t))
	v := open(t, s.sealed)
	c := commit(t, v, load(t, v), profileDoc(t, aProfile(7)))
	held := get(t, v, c, "p")["p"] // in somebody's memory
	s.forget(t, "ann", func(privacy.Notice) store.Position { return 1 })
	check := func(when string) {
		t.Helper()
		p := profileOf(t, get(t, v, c, "p")["p"])
		if p.Name != "" || p.Home != nil || p.Notes[0].Text != "" || p.Owner != "ann" {
			t.Errorf("%s: ann is %+v", when, p)
		}
		if !strings.HasPrefix(p.Notes[1].Text, marker+"4") || p.Own != marker+"5" || p.Count != 7 {
			t.Errorf("%s: the others have lost something: %.200v", when, p)
		}
	}
	check("forgotten")
	held.Position = 2
	c = commit(t, v, c, held)
	check("stored again from memory")
	record, err := s.keys.Load(within(t), "ann")
	if err != nil || record.Key != (store.KeyID{}) {
		t.Errorf("ann has a key again: %+v, %v", record, err)
	}
	searched(t, h, s.below)
}

// searched fails the test if the marker is in the store's files.
func searched(t *testing.T, h Harness, s projector.Store) {
	t.Helper()
	if h.Files == nil {
		return
	}
	if found := marked(t, h.Files(t, s), marker); len(found) > 0 {
		t.Errorf("the marker is in %v", found)
	}
}

// scrubbed waits until what is in no file of the store any more.
func scrubbed(t *testing.T, h Harness, s projector.Store, what string) {
	t.Helper()
	if h.Files == nil {
		return
	}
	ctx, tick := within(t), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for found := marked(t, h.Files(t, s), what); len(found) > 0; found = marked(t, h.Files(t, s), what) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s stays in %v", what, found)
		}
	}
}

// marked returns the files in a folder that have what is looked for.
func marked(t *testing.T, dir, what string) (found []string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(what)) {
			found = append(found, path)
		}
		files++
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files searched: %v", files, err)
	}
	return found
}

// member is the event of the case that needs a whole group.
type member interface{ isMember() }

type enrolled struct {
	Who  string `json:"who"`
	Name string `json:"name" personal:"who"`
}

func (enrolled) isMember() {}

var members = store.NewTypes(map[string]member{"enrolled": enrolled{}})

// serving runs a view until the test ends.
func (s *sealing) serving(t *testing.T, log store.Log, view projector.Definition) *projector.Group {
	t.Helper()
	g, err := projector.NewGroup(projector.Config{
		Log: log, Store: s.below, Keyring: s.ring, Projections: []projector.Definition{view}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return g
}

func forgottenRows(t *testing.T, h Harness) {
	if !h.Tables {
		return
	}
	s := sealingOver(t, h.Open(t))
	log := privacy.NewLog(store.NewMemory(store.MemoryConfig{}), s.ring)
	g := s.serving(t, log, memberRows())
	var last store.Position
	for i := range 200 {
		who := []string{"ann", "bob"}[i%2]
		name := "somebody"
		if who == "ann" {
			name = marker + strings.Repeat("x", 100)
		}
		last = enrol(t, log, who+uuid.NewString(), enrolled{Who: who, Name: name})
	}
	counts(t, g, last, "ann", "100")
	if h.Files != nil && len(marked(t, h.Files(t, s.below), marker)) == 0 {
		t.Error("the marker is in no file before")
	}
	last = s.forgetIn(t, log, "ann")
	counts(t, g, last, "ann", "0")
	counts(t, g, last, "bob", "100")
	scrubbed(t, h, s.below, marker)
}

// forgetIn forgets a person, and returns where in the log the notice is.
func (s *sealing) forgetIn(t *testing.T, log store.Log, subject string) (at store.Position) {
	t.Helper()
	s.forget(t, subject, func(n privacy.Notice) store.Position {
		event, err := n.Event(log.Codec(), 0)
		if err != nil {
			t.Fatal(err)
		}
		at = appendTo(t, log, n.Stream(), event)
		return at
	})
	return at
}

// memberRows is a view with a row for each who enrolled.
func memberRows() projector.Tables[member] {
	return projector.Tables[member]{
		Name: viewName, Types: []string{"member"}, Events: members,
		Tables: []string{`CREATE TABLE members (who text, name text)`},
		Apply: func(ctx context.Context, tx *sql.Tx, e store.Recorded[member]) error {
			data := e.Data.(enrolled)
			_, err := tx.ExecContext(ctx, `INSERT INTO members (who, name) VALUES ($1, $2)`, data.Who, data.Name)
			return err
		},
		Get: func(ctx context.Context, tx *sql.Tx, key string) (n any, err error) {
			var count int
			err = tx.QueryRowContext(ctx, `SELECT count(*) FROM members WHERE who = $1`, key).Scan(&count)
			return count, err
		},
		Forgotten: func(ctx context.Context, tx *sql.Tx, n privacy.Notice) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM members WHERE who = $1`, n.Subject)
			return err
		},
	}
}

func counts(t *testing.T, g *projector.Group, min store.Position, key, want string) {
	t.Helper()
	if d, err := g.Get(within(t), viewName, key, min); err != nil || string(d.Document) != want {
		t.Errorf("%s has %s rows, want %s: %v", key, d.Document, want, err)
	}
}

func enrol(t *testing.T, log store.Log, id string, e enrolled) store.Position {
	t.Helper()
	encoded, err := members.Encode(log.Codec(), e)
	if err != nil {
		t.Fatal(err)
	}
	return appendTo(t, log, store.StreamID{Type: "member", ID: id}, encoded.Event(0))
}

func appendTo(t *testing.T, log store.Log, stream store.StreamID, e store.Event) store.Position {
	t.Helper()
	head, err := log.Append(within(t), &store.Commit{
		Stream: stream, ID: uuid.New(), Time: time.Now().UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "test"}}, Events: []store.Event{e},
	})
	if err != nil {
		t.Fatal(err)
	}
	return store.PositionOf(head.Sequence, 0)
}
