package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// enemy guesses, and keeps all that it hears.
type enemy struct {
	tenants *tenants
	conn    *nats.Conn
	inbox   string
	refused atomic.Int64 // what the server did not permit
	tried   map[string]int

	mu    sync.Mutex
	heard []*nats.Msg
}

func (e *enemy) hearError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		e.refused.Add(1)
	}
}

func (e *enemy) hear(m *nats.Msg) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, m)
}

func (e *enemy) listen() error {
	e.inbox, e.tried = "_INBOX_mallory.all", map[string]int{}
	_, err := e.conn.Subscribe(e.inbox+".>", e.hear)
	return err
}

// count notes attempts of a kind.
func (e *enemy) count(kind string) { e.tried[kind]++ }

// eavesdrop listens wherever something of the other could come by; it returns on how
// many subjects.
func (e *enemy) eavesdrop() (n int, err error) {
	ns := e.tenants.honest
	subjects := []string{
		">", "*", "*.>", ns + ".>", ns + ".*.>", ns + ".cmd.>", ns + ".evt.>", ns + ".key.>", ns + ".as.alice.>", ns + ".as.*.cmd.>", ns + ".prt.*.cmd.>", ns + ".node.>", ns + ".ctl.>", ns + ".qry.>",
		"_INBOX.>", "_INBOX.*", "_INBOX_alice.>", "*.as.alice.>", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$JS.EVENT.ADVISORY.>", "$KV.>", "$SYS.>", "$SRV.>", "_R_.>",
	}
	if e.tenants.open { // what it hears on one is enough, and it would hear itself
		subjects = []string{ns + ".evt.>", ns + ".as.alice.>", "_INBOX_alice.>", "$KV.>"}
	}
	for _, subject := range subjects {
		e.count("wildcard")
		if _, err := e.conn.Subscribe(subject, e.hear); err != nil {
			return 0, err
		}
	}
	if !e.tenants.guarded {
		return len(subjects), nil // it would rob itself
	}
	queues := []string{ns + ".cmd.>", ns + ".as.*.prt.*.>"} // to be given a share of what is meant for nodes
	for _, group := range []string{"q", "owner"} {
		for _, subject := range queues {
			e.count("queue group")
			if _, err := e.conn.QueueSubscribe(subject, group, e.hear); err != nil {
				return 0, err
			}
		}
	}
	return len(subjects) + 2*len(queues), nil
}

// message is what it sends to a subject.
func message(subject, reply, body string, headers ...string) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Reply, m.Data = reply, []byte(body)
	for pair := range slices.Chunk(headers, 2) {
		m.Header.Set(pair[0], pair[1])
	}
	return m
}

// ask asks by the enemy's own door, and returns the answer.
func (e *enemy) ask(path, body string, headers ...string) (*nats.Msg, error) {
	e.count("own door")
	answer, err := e.conn.RequestMsg(message(e.tenants.hostile+".as.mallory."+path, "", body, headers...), soon)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	e.hear(answer)
	return answer, nil
}

// saw counts the lines of all that the enemy, and its nodes' logs, have heard that hold
// a text.
func (e *enemy) saw(secret string) (lines []string) {
	var all strings.Builder
	e.mu.Lock()
	for _, m := range e.heard {
		fmt.Fprintf(&all, "%s %v %q\n", m.Subject, m.Header, m.Data)
	}
	e.mu.Unlock()
	for _, logged := range e.tenants.logged {
		all.WriteString(logged.String())
	}
	for line := range strings.Lines(all.String()) {
		if strings.Contains(line, secret) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
