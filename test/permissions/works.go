//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// do counts whether something worked.
func (r *report) do(tell io.Writer, what string, f func() error) bool {
	if err := f(); err != nil {
		r.Failed++
		fmt.Fprintf(tell, "FAILED: %s: %v\n", what, err)
		return false
	}
	r.Worked++
	return true
}

// command runs a command, which has to print what it is to.
func (r *report) command(ctx context.Context, s *stage, c operation, tell io.Writer) {
	r.do(tell, c.user+": "+fmt.Sprint(c.args), func() error {
		text, err := s.program.text(ctx, s.as(c.user, c.args...)...)
		if err == nil && !strings.Contains(text, c.says) {
			err = fmt.Errorf("it prints %q, want %q", text, c.says)
		}
		return err
	})
}

// start makes the namespace, and has a node of each role serve it: two, unless something failed.
func (r *report) start(ctx context.Context, s *stage, durability string, tell io.Writer) (nodes []*node) {
	r.do(tell, "a wrapping key", func() error {
		_, err := s.program.text(ctx, "keys", "generate", s.kek())
		return err
	})
	r.do(tell, "a token of a privacy officer", func() (err error) {
		s.token, err = s.program.token(ctx, s.tokens())
		return err
	})
	r.command(ctx, s, operation{user: "pat", args: []string{"provision", "--durability", durability, "--partitions", "16", "--bucket", archiveBucket + "," + backupBucket + "," + keysBucket}}, tell)
	for _, n := range []struct{ user, roles string }{{"n1", "actors,gateway"}, {"p1", "projectors"}} {
		r.do(tell, "node of "+n.user, func() error {
			one, err := s.program.start(filepath.Join(s.dir, n.user+".log"), s.as(n.user, "node", "--name", n.user, "--roles", n.roles,
				"--durability", durability, "--archive", "nats:"+archiveBucket, "--kek", "file:"+s.kek(), "--http", "127.0.0.1:0", "--http-tokens", s.tokens(), "--api", "--json")...)
			if err == nil {
				nodes = append(nodes, one)
			}
			return err
		})
	}
	return nodes
}

func (r *report) stop(nodes []*node, tell io.Writer) {
	for _, n := range nodes {
		r.do(tell, "stop a node", n.stop)
	}
}

// play has everybody do what they are for.
func (r *report) play(ctx context.Context, s *stage, tell io.Writer) (err error) {
	do := func(what string, f func() error) bool { return r.do(tell, what, f) }
	nodes := r.start(ctx, s, "single", tell)
	if len(nodes) == 2 {
		r.clients(ctx, s, do)
		for _, c := range operations(filepath.Join(s.dir, "backups"), filepath.Join(s.dir, "export.jsonl"), s.kek()) {
			r.command(ctx, s, c, tell)
		}
		for _, c := range private(s.kek()) {
			r.command(ctx, s, c, tell)
		}
		for _, path := range []string{"/v1/info", "/v1/aggregates/application/1", "/v1/aggregates/application/1/history", "/v1/views/outcomes/open", "/v1/projections"} {
			do("HTTP of the node: "+path, func() error { return nodes[0].ask(ctx, s.token, http.MethodGet, path, "") })
		}
		do("HTTP of the node: a person is forgotten", func() error {
			return nodes[0].ask(ctx, s.token, http.MethodPost, "/v1/subjects/c-11/forget", `{"why": "asked for it"}`)
		})
		do("HTTP of the node: a person is looked at", func() error { return nodes[0].ask(ctx, s.token, http.MethodGet, "/v1/subjects/c-11", "") })
		r.command(ctx, s, operation{user: "audra", args: []string{"audit", "ls", "--by", "otto", "--json"}, says: `"action":"subject.forgotten","what":"c-11","by":"otto"`}, tell)
		do("client after the archive", func() error { return r.commands(ctx, s, 2) })
		do("the matrix tries every endpoint", func() error { return s.endpoints() })
	}
	r.hear(s, tell)
	if len(nodes) == 2 {
		for _, c := range refusals(filepath.Join(s.dir, "backups")) {
			do(c.user+" may not: "+fmt.Sprint(c.args), func() error { return s.refuses(ctx, c) })
		}
	}
	r.stop(nodes, tell)
	return r.restores(ctx, s, tell)
}

// hear counts what the server refused until now.
func (r *report) hear(s *stage, tell io.Writer) {
	for _, v := range s.ear.violations() {
		r.Violations++
		fmt.Fprintln(tell, "REFUSED:", v)
	}
}

// operation is a command line of a user.
type operation struct {
	user string
	args []string
	says string // what it has to print
}

func operations(backups, export, kek string) []operation {
	by := func(user string, args ...string) operation { return operation{user: user, args: args} }
	return []operation{
		by("ann", "command", "send", "application", "9", "submit", `{"amount": 700}`, "--wait-for", "outcomes"),
		by("ann", "view", "ls", "outcomes"),
		by("ann", "view", "get", "applications", "9"),
		by("olga", "aggregate", "history", "application", "1"),
		by("olga", "event", "tail", "--lines", "5"),
		by("olga", "event", "export", export),
		by("olga", "projection", "ls"),
		by("olga", "projection", "rebuild", "outcomes", "--online", "--switch"),
		by("olga", "projection", "rollback", "outcomes", "--yes"),
		by("olga", "projection", "retire", "outcomes", "--yes"),
		by("olga", "projection", "pause", "workload"),
		by("olga", "projection", "resume", "workload"),
		by("olga", "projection", "verify", "outcomes"),
		by("olga", "dlq", "ls"),
		by("olga", "view", "ls", "outcomes"),
		by("olga", "cluster", "nodes"),
		by("olga", "cluster", "move", "3", "n1"),
		by("olga", "cluster", "rebalance"),
		by("olga", "schema", "check"),
		by("archie", "backup", "create", backups, "--keys-to", backups+".keys"),
		by("archie", "backup", "verify", backups, "--live"),
		by("archie", "backup", "create", "nats:"+backupBucket, "--keys-to", backups+".keys"),
		by("archie", "backup", "ls", "nats:"+backupBucket),
		by("archie", "keys", "copy", "nats:"+keysBucket),
		by("archie", "keys", "copy", "nats:"+keysBucket), // in the place of the first, which is overwritten
		{user: "archie", args: []string{"archive", "run", "application", "--keep", "1", "--to", "nats:" + archiveBucket, "--kek", "file:" + kek, "--yes"}, says: "archived "},
		by("archie", "archive", "verify", "--archive", "nats:"+archiveBucket),
		by("pat", "provision", "--durability", "single", "--bucket", archiveBucket), // again, while nodes serve it
		{user: "audra", args: []string{"audit", "ls", "--by", "pat", "--json"}, says: `"action":"provision","what":"` + namespace + `, buckets ` + archiveBucket + `","by":"pat","outcome":"done"`},
		by("audra", "aggregate", "get", "application", "1"),
		by("audra", "aggregate", "history", "application", "1"),
		by("audra", "aggregate", "diff", "application", "1", "1"),
		by("audra", "projection", "ls"),
		by("audra", "audit", "ls"),
		{user: "audra", args: []string{"audit", "ls", "--by", "olga", "--json"}, says: `"action":"projection.pause","what":"workload","by":"olga"`},
		{user: "audra", args: []string{"audit", "ls", "--by", "archie", "--json"}, says: `"action":"archive.run"`},
		{user: "audra", args: []string{"audit", "ls", "--by", "archie", "--action", "backup.create", "--json"}, says: `"what":"to nats:` + backupBucket + `, keys to ` + backups + `.keys","by":"archie","outcome":"done"`},
	}
}

// private is what concerns persons and their keys.
func private(kek string) []operation {
	return []operation{
		{user: "ann", args: []string{"command", "send", "application", "10", "submit", `{"amount": 900, "customer": "c-10", "applicant": {"name": "Ada"}}`}},
		{user: "petra", args: []string{"subject", "show", "c-10"}, says: "c-10   key "},
		{user: "petra", args: []string{"subject", "export", "c-10", "--kek", "file:" + kek, "--archive", "nats:" + archiveBucket}, says: "Ada"},
		{user: "petra", args: []string{"keys", "ls"}, says: "SUBJECTS"},
		{user: "pat", args: []string{"keys", "rewrap", "--kek", "file:" + kek}, says: "1 record,"},
		{user: "pat", args: []string{"keys", "rotate", "--kek", "file:" + kek}, says: "in epoch 2"},
		{user: "petra", args: []string{"subject", "forget", "c-10", "--why", "asked for it", "--yes"}, says: "by petra: asked for it"},
		{user: "petra", args: []string{"subject", "ls", "--forgotten"}, says: "c-10"},
		{user: "petra", args: []string{"aggregate", "history", "application", "10"}, says: "annals:shredded"},
		{user: "audra", args: []string{"audit", "ls", "--by", "petra", "--json"}, says: `"action":"subject.forgotten","what":"c-10","by":"petra"`},
		{user: "audra", args: []string{"audit", "ls", "--by", "pat", "--json"}, says: `"action":"keys.rotate"`},
	}
}

// clients sends commands, reads, and watches, with the library.
func (r *report) clients(ctx context.Context, s *stage, do func(string, func() error) bool) {
	do("client sends commands", func() error { return r.commands(ctx, s, 1) })
	do("client reads and watches", func() error { return watches(ctx, s) })
}

func (s *stage) client(user string) (*gateway.Client, func(), error) {
	nc, err := s.connect(user)
	if err != nil {
		return nil, nil, err
	}
	c, err := gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: namespace, Principal: user, Timeout: 30 * time.Second})
	if err != nil {
		nc.Close()
	}
	return c, nc.Close, err
}

// commands sends the first commands of applications, and in a second round one
// more to each: those of the archive have to be read.
func (r *report) commands(ctx context.Context, s *stage, round int) error {
	c, done, err := s.client("ann")
	if err != nil {
		return err
	}
	defer done()
	names := append([]string{"submit"}, slices.Repeat([]string{"schedule-work"}, work)...)
	if round == 2 {
		names = []string{"schedule-work", "cancel"}
	}
	for i := range applications {
		for _, name := range names {
			id, body := store.StreamID{Type: "application", ID: strconv.Itoa(i + 1)}, `{}`
			if name == "schedule-work" {
				body = `{"item":"call"}`
			}
			if _, err := c.Send(ctx, gateway.Request{Stream: id, Name: name, Body: []byte(body), Codec: store.JSON}); err != nil {
				return fmt.Errorf("%s %s: %w", name, id, err)
			}
		}
	}
	return nil
}

const (
	applications = 8
	work         = 20 // commands to each: enough for a snapshot, without which nothing is archived
)

// watches reads a state from its owner and watches a view, as long as it takes to
// confirm what came.
func watches(ctx context.Context, s *stage) error {
	c, done, err := s.client("ann")
	if err != nil {
		return err
	}
	defer done()
	if _, err := c.Read(ctx, store.StreamID{Type: "application", ID: "1"}, true); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	seen, beats := 0, 0
	for d, err := range c.Watch(ctx, "applications", projector.Watch{Progress: true}) {
		if err != nil {
			return err
		}
		if d.Key != "" {
			seen++
		} else {
			beats++
		}
		if seen >= applications && beats >= 3 { // the beats are confirmed
			return nil
		}
	}
	return errors.New("the watch ended early")
}
