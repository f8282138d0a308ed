//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/annals-go/annals/cluster/embedded"
)

// servers are what a stage stands on.
type servers interface {
	// URL is where to connect to.
	URL() string
	Shutdown()
}

// trio is three servers in a cluster, each with the users of the file. What is asked of streams
// differs there in nothing but that others answer; this is to know it.
type trio []*server.Server

// URL implements servers.
func (t trio) URL() string { return t[0].ClientURL() }

// Shutdown implements servers.
func (t trio) Shutdown() {
	for _, s := range t {
		s.Shutdown()
	}
}

func startTrio(ctx context.Context, dir, users string, logger *slog.Logger) (t trio, err error) {
	ports, err := embedded.FreePorts(3)
	if err != nil {
		return nil, err
	}
	var routes []*url.URL
	for _, port := range ports {
		routes = append(routes, &url.URL{Scheme: "nats", Host: net.JoinHostPort(loopback, strconv.Itoa(port))})
	}
	for i, port := range ports {
		opts, err := server.ProcessConfigFile(users)
		if err != nil {
			return t, err
		}
		opts.ServerName, opts.Host, opts.Port, opts.NoSigs = "s"+strconv.Itoa(i+1), loopback, server.RANDOM_PORT, true
		opts.JetStream, opts.StoreDir = true, filepath.Join(dir, opts.ServerName)
		opts.Cluster = server.ClusterOpts{Name: "permissions", Host: loopback, Port: port}
		opts.Routes = routes
		s, err := server.NewServer(opts)
		if err != nil {
			return t, err
		}
		s.SetLoggerV2(teller{logger}, false, false, false)
		s.Start()
		t = append(t, s)
	}
	return t, t.wait(ctx)
}

const loopback = "127.0.0.1"

// wait returns when the servers have a leader.
func (t trio) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !slices.ContainsFunc(t, (*server.Server).JetStreamIsLeader) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("three servers find no leader")
		}
	}
	return nil
}

// teller passes on what a server warns of.
type teller struct{ to *slog.Logger }

// Noticef implements [server.Logger].
func (teller) Noticef(string, ...any) {}

// Warnf implements [server.Logger].
func (t teller) Warnf(format string, args ...any) {
	t.to.Warn("server", "says", fmt.Sprintf(format, args...))
}

// Fatalf implements [server.Logger].
func (t teller) Fatalf(format string, args ...any) {
	t.to.Error("server", "says", fmt.Sprintf(format, args...))
}

// Errorf implements [server.Logger].
func (t teller) Errorf(format string, args ...any) {
	t.to.Error("server", "says", fmt.Sprintf(format, args...))
}

// Debugf implements [server.Logger].
func (teller) Debugf(string, ...any) {}

// Tracef implements [server.Logger].
func (teller) Tracef(string, ...any) {}

// three does on three servers, with three copies of the data, what rests on keys.
func (r *report) three(ctx context.Context, p program, dir string, tell io.Writer) error {
	s, err := prepare(ctx, p, dir, false, nil)
	if err != nil {
		return err
	}
	started, err := startTrio(ctx, filepath.Join(dir, "data"), s.users, slog.New(s.ear))
	defer started.Shutdown()
	if err != nil {
		return err
	}
	s.server = started
	nodes := r.start(ctx, s, "replicated", tell)
	if len(nodes) == 2 {
		for _, c := range onThree(filepath.Join(dir, "backups"), s.kek()) {
			r.command(ctx, s, c, tell)
		}
	}
	r.stop(nodes, tell)
	r.hear(s, tell)
	return nil
}

func onThree(backups, kek string) []operation {
	return []operation{
		{user: "ann", args: []string{"command", "send", "application", "10", "submit", `{"amount": 900, "customer": "c-10", "applicant": {"name": "Ada"}}`, "--wait-for", "applications"}},
		{user: "olga", args: []string{"projection", "pause", "workload"}},
		{user: "olga", args: []string{"projection", "resume", "workload"}},
		{user: "petra", args: []string{"keys", "ls"}, says: "SUBJECTS"},
		{user: "petra", args: []string{"subject", "export", "c-10", "--kek", "file:" + kek}, says: "Ada"},
		{user: "archie", args: []string{"backup", "create", backups, "--keys-to", backups + ".keys"}},
		{user: "pat", args: []string{"keys", "rotate", "--kek", "file:" + kek}, says: "in epoch 2"},
		{user: "petra", args: []string{"subject", "forget", "c-10", "--why", "asked for it", "--yes"}, says: "by petra: asked for it"},
		{user: "audra", args: []string{"audit", "ls", "--by", "petra", "--json"}, says: `"action":"subject.forgotten","what":"c-10","by":"petra"`},
		{user: "audra", args: []string{"audit", "ls", "--by", "olga", "--json"}, says: `"action":"projection.pause"`},
	}
}
