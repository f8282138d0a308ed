//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/harness"
)

// site is a namespace with its nodes, on one kind of store for views.
type site struct {
	name  string // of the namespace
	kind  string // of the store of its views: kv, sqlite or postgres
	stage *stage
	nodes []*member
	conn  *nats.Conn
	*gateway.Client
	last store.Position // a position that views have to reach
}

// member is a process of a site.
type member struct {
	process *harness.Process
	http    string
}

func (t *site) namespace() string { return "canary-" + t.name }

// views are the names of those that documents are asked of.
func (t *site) views() []string {
	views := []string{"people", "letters", "troubled", "counts"}
	if t.tables() {
		views = append(views, "register")
	}
	return views
}

// tables reports whether it has the table with data in plain.
func (t *site) tables() bool { return t.kind != "kv" }

// startSite starts the nodes of a namespace and waits until they serve.
func (s *stage) startSite(ctx context.Context, name, kind string, nodes int) (*site, error) {
	t := &site{name: name, kind: kind, stage: s}
	s.started = append(s.started, t)
	ports, err := embedded.FreePorts(nodes)
	if err != nil {
		return nil, err
	}
	for i := range nodes {
		n := &member{http: fmt.Sprintf("127.0.0.1:%d", ports[i])}
		if n.process, err = harness.StartApart(s.path("nodes", fmt.Sprintf("%s-%d.log", name, i)), s.path("nodes", fmt.Sprintf("%s-%d.out", name, i)), t.line(i, n.http)...); err != nil {
			return nil, err
		}
		t.nodes = append(t.nodes, n)
	}
	for _, n := range t.nodes {
		if err := n.process.Ready(ctx, startLimit, func() error { return healthy(ctx, "http://"+n.http+"/readyz") }); err != nil {
			return nil, err
		}
	}
	if t.conn, err = s.servers.connect(); err != nil {
		return nil, err
	}
	t.Client, err = gateway.NewClient(gateway.ClientConfig{Conn: t.conn, Namespace: t.namespace(), Codec: store.JSON, Timeout: askPatience})
	return t, err
}

// line is the command line of a node.
func (t *site) line(nth int, http string) []string {
	views := t.kind
	switch t.kind {
	case "sqlite":
		views += ":" + t.stage.path("views", fmt.Sprint(nth))
	case "postgres":
		views += ":" + t.stage.database
	}
	return append(t.program("node"),
		"--name", fmt.Sprintf("%s-%d", t.name, nth), "--monitor", t.stage.servers.monitors(), "--views", views, "--http", http,
		"--api", "--keep-commands", "--partitions", "16", "--log-level", "debug", "--json")
}

// program is the beginning of a command line of the application.
func (t *site) program(command ...string) []string {
	words := append([]string{t.stage.self, asApplication, t.kind, t.stage.options.plant}, command...)
	return append(words, "--ns", t.namespace(), "--server", t.stage.servers.urls(), "--kek", "file:"+t.stage.path("secret", "kek"),
		"--archive", t.stage.path("archive", t.name))
}

// run runs a command to its end and returns what it prints. Both its outputs are
// kept among the answers.
func (t *site) run(ctx context.Context, command ...string) ([]byte, error) {
	line := t.program(append(command, "--timeout", "120s")...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	err := cmd.Run()
	name := strings.Join(command[:min(2, len(command))], " ")
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", name, err, talk.Bytes()[max(0, talk.Len()-2000):])
	}
	return out.Bytes(), errors.Join(err, t.stage.keep(t.name+" "+strings.Join(command, " "), out.Bytes()), t.stage.keep(t.name+" talk of "+name, talk.Bytes()))
}

// stop ends the nodes in good order.
func (t *site) stop() error {
	var errs []error
	for _, n := range t.nodes {
		errs = append(errs, n.process.Stop(stopLimit))
	}
	t.nodes = nil
	if t.conn != nil {
		t.conn.Close()
	}
	return errors.Join(errs...)
}

func (t *site) kill() {
	for _, n := range t.nodes {
		if n.process != nil {
			n.process.Kill()
		}
	}
}

// ended says which process ended by itself.
func (t *site) ended() error {
	var errs []error
	for _, n := range t.nodes {
		errs = append(errs, n.process.Ended())
	}
	return errors.Join(errs...)
}

// answersOf is where the answers of a kind are kept.
func (s *stage) answersOf(what string) string { return filepath.Join(s.path("answers"), what) }
