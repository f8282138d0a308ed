//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// refusals are duties of one role, tried by those who have another. They are told so.
func refusals(backups string) []operation {
	by := func(user string, args ...string) operation { return operation{user: user, args: args} }
	return []operation{
		by("ann", "subject", "forget", "c-10", "--why", "mischief", "--yes"),
		by("olga", "subject", "forget", "c-10", "--why", "mischief", "--yes"),
		by("archie", "subject", "forget", "c-10", "--why", "mischief", "--yes"),
		by("ann", "projection", "pause", "workload"),
		by("petra", "projection", "pause", "workload"),
		by("audra", "projection", "pause", "workload"),
		by("ann", "aggregate", "history", "application", "1"),
		by("ann", "keys", "ls"),
		by("audra", "keys", "ls"),
		by("olga", "backup", "create", backups+".more", "--keys-to", backups+".more.keys", "--archive", "nats:"+archiveBucket),
		by("pat", "keys", "copy", "nats:"+keysBucket),
		by("olga", "archive", "run", "application", "--keep", "1", "--to", "nats:"+archiveBucket, "--yes"),
	}
}

// refuses runs a command, which the server has to refuse, and the user to be told.
func (s *stage) refuses(ctx context.Context, c operation) error {
	_, err := s.program.text(ctx, s.as(c.user, append(c.args, "--timeout", "1s")...)...)
	switch {
	case err == nil:
		return errors.New("it may")
	case !strings.Contains(err.Error(), "[NOT_PERMITTED]"):
		return fmt.Errorf("it is not told that it may not: %w", err)
	}
	return nil
}

// endpoints looks whether the matrix tries all that the nodes which run say they answer.
func (s *stage) endpoints() error {
	nc, err := s.connect("olga")
	if err != nil {
		return err
	}
	defer nc.Close()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err == nil {
		err = nc.PublishRequest("$SRV.INFO", inbox, nil)
	}
	if err != nil {
		return err
	}
	known, errs := 0, []error{}
	for {
		m, err := sub.NextMsg(time.Second) // nobody knows how many will answer
		if errors.Is(err, nats.ErrTimeout) {
			break
		}
		var info micro.Info
		if err == nil {
			err = json.Unmarshal(m.Data, &info)
		}
		if err != nil {
			return err
		}
		for _, e := range info.Endpoints {
			known++
			for _, way := range untried(e.Subject) {
				errs = append(errs, fmt.Errorf("no row tries %s", way))
			}
		}
	}
	if least := len(verbs); known < least {
		errs = append(errs, fmt.Errorf("the nodes show %d endpoints, want %d at least", known, least))
	}
	return errors.Join(errs...)
}
