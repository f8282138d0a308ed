//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/archive"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/test/harness"
)

// viewPatience is how long views may take to have everything.
const viewPatience = 3 * time.Minute

// settle waits until the views have the last command.
func (t *site) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, viewPatience)
	defer cancel()
	return harness.Until(ctx, viewPatience, "views have everything", func() error {
		if err := t.ended(); err != nil {
			return err
		}
		return t.Wait(ctx, t.last, t.views()...)
	})
}

// prepare leaves traces in all the places where there can be some: dead letters that
// were edited, archives, a backup, snapshots. Then it notes the keys of those who are to
// be forgotten.
func (s *stage) prepare(ctx context.Context) error {
	s.say("waiting for views")
	if err := s.onAll(ctx, func(ctx context.Context, t *site) error { return t.settle(ctx) }); err != nil {
		return err
	}
	s.say("dead letters, archives, backups")
	// What PostgreSQL knows of its tables, it knows by copies of what is in them.
	if err := s.onPostgres(ctx, "ANALYZE"); err != nil {
		return err
	}
	return s.onAll(ctx, func(ctx context.Context, t *site) error {
		if err := t.editLetters(ctx); err != nil {
			return err
		}
		if err := t.archiveAndBackUp(ctx); err != nil {
			return err
		}
		if err := t.countSnapshots(ctx); err != nil {
			return err
		}
		return t.noteKeys(ctx)
	})
}

// noting guards the report and the persons where sites write side by side.
var noting sync.Mutex

// letters yields the dead letters of those who are to be forgotten, with the person.
func (t *site) letters(ctx context.Context, each func(id string, at uint64, p *person) error) error {
	byID := map[string]*person{}
	for _, p := range t.stage.doomed() {
		byID[p.id] = p
	}
	for l, err := range t.Operator("troubled").DeadLetters(ctx) {
		if err != nil {
			return fmt.Errorf("list dead letters: %w", err)
		}
		if p := byID[l.Stream.ID]; p != nil {
			if err := each(l.ID, l.At, p); err != nil {
				return fmt.Errorf("dead letter %s: %w", l.ID, err)
			}
		}
	}
	return nil
}

// editLetters puts a name into each of them, with which the event would fail again.
func (t *site) editLetters(ctx context.Context) error {
	return t.letters(ctx, func(id string, at uint64, p *person) error {
		_, err := t.Operator("troubled").Edit(ctx, id, at, fmt.Appendf(nil, `{"name":%q,"trouble":true}`, "edited "+string(p.mark("second name"))), "somebody")
		noting.Lock()
		defer noting.Unlock()
		t.stage.report.Letters++
		return err
	})
}

func (t *site) archiveAndBackUp(ctx context.Context) error {
	text, err := t.run(ctx, "archive", "run", "household", "--keep", "20", "--to", t.stage.path("archive", t.name), "--yes", "--json")
	if err != nil {
		return err
	}
	var done archive.Report
	if err := json.Unmarshal(text, &done); err != nil {
		return fmt.Errorf("archive run printed %q: %w", text, err)
	}
	noting.Lock()
	t.stage.report.Archived += done.Run.Streams
	noting.Unlock()
	_, err = t.run(ctx, "backup", "create", t.stage.path("backup"), "--keys-to", t.stage.path("keys"), "--json")
	return err
}

func (t *site) countSnapshots(ctx context.Context) error {
	js, err := natsjs.New(t.conn)
	if err != nil {
		return err
	}
	count := uint64(0)
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		if !strings.Contains(name, "ANNALS_"+t.namespace()+"_snapshots") {
			continue
		}
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return err
		}
		count += stream.CachedInfo().State.Msgs
	}
	noting.Lock()
	t.stage.report.Snapshots += int(count)
	noting.Unlock()
	return names.Err()
}

// keys opens the key store as an operator would.
func (t *site) keys(ctx context.Context) (*jetstream.Keys, error) {
	return jetstream.OpenKeys(ctx, jetstream.KeysConfig{Conn: t.conn, Namespace: t.namespace(), Replicas: len(t.stage.servers)})
}

// noteKeys adds the keys of those who are to be forgotten to their marks.
func (t *site) noteKeys(ctx context.Context) error {
	keys, err := t.keys(ctx)
	if err != nil {
		return err
	}
	wrapper, err := privacy.OpenFile(t.stage.path("secret", "kek"))
	if err != nil {
		return err
	}
	for _, p := range t.stage.doomed() {
		r, err := keys.Load(ctx, p.id)
		if err != nil {
			return err
		}
		if r.Key == (store.KeyID{}) {
			return fmt.Errorf("%s has no key", p.id)
		}
		spy := spy{Wrapper: wrapper}
		if _, _, err := privacy.RewrapRecord(ctx, &spy, keys.Realm(), r); spy.key == nil {
			return fmt.Errorf("key of %s: %w", p.id, err)
		}
		noting.Lock()
		p.marks = append(p.marks,
			&mark{class: ofWrapped, subject: p.nth, field: t.name, forms: rawForms(r.Wrapped)},
			&mark{class: ofKey, subject: p.nth, field: t.name, forms: rawForms(spy.key)})
		noting.Unlock()
	}
	return nil
}

// spy takes a key in plain as it is about to be wrapped.
type spy struct {
	privacy.Wrapper
	key []byte
}

var errSpied = errors.New("seen enough")

func (s *spy) Current() string { return "spy" }

func (s *spy) Wrap(_ context.Context, _ string, key, _ []byte) ([]byte, error) {
	s.key = append([]byte{}, key...)
	return nil, errSpied
}
