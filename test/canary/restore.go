//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/annals-go/annals/store/backup"
)

// restored is the name of the site that is made of a backup.
const restored = "restored"

// restore makes a namespace of the first backup, which was made before anybody was
// forgotten, with the keys as they are now: it has all that the forgotten ever said, and may
// tell nothing of it.
func (s *stage) restore(ctx context.Context) error {
	of := s.sites[0]
	s.say("restoring a backup that knows of nobody's forgetting")
	to := &site{name: restored, kind: of.kind, stage: s, conn: of.conn}
	id, err := of.firstBackup(ctx)
	if err != nil {
		return err
	}
	text, err := to.run(ctx, "backup", "restore", s.path("backup"), id, "--keys", s.path("keys"), "--from-ns", of.namespace(), "--replicas", fmt.Sprint(len(s.servers)), "--json")
	if err != nil {
		return err
	}
	var done backup.Restored
	if err := json.Unmarshal(text, &done); err != nil {
		return fmt.Errorf("backup restore printed %q: %w", text, err)
	}
	if to, err = s.startSite(ctx, to.name, to.kind, 1); err != nil {
		return err
	}
	to.last = done.Position
	if err := to.settle(ctx); err != nil {
		return err
	}
	if err := to.askAboutAll(ctx); err != nil {
		return err
	}
	if err := to.askAboutEach(ctx, func(*person) { s.report.RestoredAlive++ }); err != nil {
		return err
	}
	return to.countShredded(ctx)
}

// firstBackup is the oldest backup of the namespace.
func (t *site) firstBackup(ctx context.Context) (string, error) {
	text, err := t.run(ctx, "backup", "ls", t.stage.path("backup"), "--json")
	if err != nil {
		return "", err
	}
	var first struct{ ID string }
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&first); err != nil {
		return "", fmt.Errorf("backup ls printed %q: %w", text, err)
	}
	return first.ID, nil
}

// countShredded counts the forgotten of whom the restored log has events that say that
// something of them is gone: those events were there, with something in them.
func (t *site) countShredded(ctx context.Context) error {
	for _, p := range t.stage.doomed() {
		events, _, err := t.HistoryPage(ctx, personStream(p), 0)
		text, encoded := json.Marshal(events)
		if err := errors.Join(err, encoded); err != nil {
			return fmt.Errorf("history of %s: %w", p.id, err)
		}
		if bytes.Contains(text, []byte("shredded")) {
			t.stage.report.RestoredForgotten++
		}
	}
	return nil
}
