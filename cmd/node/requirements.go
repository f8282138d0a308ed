package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// The oldest server that has all that is used: atomic batches.
const (
	oldestMajor = 2
	oldestMinor = 12
)

// requirements are what the servers must be and keep before a node starts on
// them. Looking changes nothing there.
type requirements struct {
	conn      *nats.Conn
	namespace string
	version   string // of the server that is connected
	promise   promise
	copies    int      // the fewest
	monitor   []string // where the servers' reports are; none: asked over NATS
	client    *http.Client
	logger    *slog.Logger
}

// check returns how the namespace was created, nil if it is not there yet. The
// error is a [*Failure] that says what to change, or ctx's.
func (r *requirements) check(ctx context.Context) (*jetstream.Config, error) {
	if err := checkVersion("the NATS server", r.version); err != nil {
		return nil, err
	}
	if err := r.checkJetStream(ctx); err != nil {
		return nil, err
	}
	has, err := r.checkCopies(ctx)
	if err != nil || r.promise != replicatedSync {
		return has, err
	}
	return has, r.checkSync(ctx, has != nil)
}

func refusal(code gateway.Code, what, why, fix string) *Failure {
	return &Failure{Code: code, Exit: console.ExitFailure, What: what, Why: why, Fix: fix}
}

func checkVersion(server, version string) error {
	if newEnough(version) {
		return nil
	}
	return refusal(codeTooOld,
		fmt.Sprintf("%s is too old: version %s", server, version),
		fmt.Sprintf("what a node rests on is there since %d.%d", oldestMajor, oldestMinor),
		"upgrade the NATS servers")
}

// newEnough reports whether a version is not below the oldest; one that cannot
// be read is a development build.
func newEnough(version string) bool {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, errX := strconv.Atoi(major)
	y, errY := strconv.Atoi(minor)
	if errX != nil || errY != nil {
		return true
	}
	return x > oldestMajor || x == oldestMajor && y >= oldestMinor
}

func (r *requirements) checkJetStream(ctx context.Context) error {
	js, err := natsjs.New(r.conn)
	if err != nil {
		return err
	}
	switch _, err = js.AccountInfo(ctx); {
	case errors.Is(err, natsjs.ErrJetStreamNotEnabled):
		return refusal(codeNoJetStream, "the NATS server has no JetStream", "it was started without", "add the section jetstream to its configuration")
	case errors.Is(err, natsjs.ErrJetStreamNotEnabledForAccount):
		return refusal(codeNoJetStream, "the account has no JetStream", "the NATS server gives it none", "enable jetstream for the account in the servers' configuration")
	}
	return nil // whether it works now is for the log to find out, patiently
}

// checkCopies looks whether there are as many copies as must be, or can be.
func (r *requirements) checkCopies(ctx context.Context) (*jetstream.Config, error) {
	has, err := r.existing(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound):
		if r.copies > 1 && r.conn.ConnectedClusterName() == "" {
			return nil, refusal(codeNotReplicated,
				fmt.Sprintf("namespace %s cannot have %d copies", r.namespace, r.copies), "the NATS server is not part of a cluster",
				"name servers of a cluster with --server, or accept the weaker promise: --durability single")
		}
		return nil, nil
	case err != nil:
		return nil, err
	case has.Replicas < r.copies:
		return nil, refusal(codeNotReplicated,
			fmt.Sprintf("namespace %s is kept in fewer copies than promised: %d of %d", r.namespace, has.Replicas, r.copies),
			"what is lost with the servers that keep them is lost for good",
			raise(r.namespace, r.copies, has.LogStreams)+"; or accept the weaker promise: --durability single")
	}
	return &has, nil
}

// raise says how to keep more copies of a namespace: of each of its streams.
func raise(namespace string, copies, logStreams int) string {
	command := fmt.Sprintf("raise them: nats stream edit ANNALS_%s_events --replicas %d", namespace, copies)
	if logStreams > 1 {
		command += fmt.Sprintf(", and the same for ANNALS_%s_events_0 to _%d", namespace, logStreams-1)
	}
	return command
}

const (
	// leaderPatience bounds how long a node that starts waits for the servers to
	// elect a leader of its log.
	leaderPatience = 30 * time.Second
	leaderPause    = 250 * time.Millisecond
)

// existing returns how the namespace was created, once the servers can tell.
func (r *requirements) existing(ctx context.Context) (jetstream.Config, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderPatience)
	defer cancel()
	for {
		once, cancel := context.WithTimeout(ctx, leaderPatience/6)
		has, err := jetstream.Existing(once, r.conn, r.namespace)
		cancel()
		if !errors.Is(err, store.ErrUnavailable) {
			return has, err
		}
		select {
		case <-time.After(leaderPause):
		case <-ctx.Done():
			return has, err
		}
	}
}

// checkSync looks whether each server syncs before it acknowledges. An ordinary
// account sees nothing of that, so somebody must let it be seen. Where the
// namespace exists, all servers were seen when it was made; then a node starts
// while the fewer of them are down.
func (r *requirements) checkSync(ctx context.Context, exists bool) error {
	servers, silent, err := r.reports(ctx)
	if err != nil && (!exists || silent >= len(servers)) {
		return unverified("a server's report cannot be read", err.Error(), err)
	}
	if err != nil {
		r.logger.Warn("a server's report cannot be read", "err", err)
	}
	if len(servers) == 0 {
		return unverified("it cannot be seen whether the NATS servers sync always", "the account of this connection may not ask the servers", nil)
	}
	var lax []string
	for _, s := range servers {
		if err := checkVersion("the NATS server "+s.Name, s.Version); err != nil {
			return err
		}
		if !s.syncAlways() {
			lax = append(lax, s.Name)
		}
	}
	if len(lax) > 0 {
		return refusal(codeNotSynced, "not all NATS servers sync always: "+strings.Join(lax, ", "),
			"a power cut of all servers at once would lose acknowledged commands, or everything",
			"set sync_interval: always in the section jetstream of their configuration; or accept the weaker promise: --durability replicated")
	}
	return r.checkCoverage(servers, silent)
}

// checkCoverage looks whether the reports, with those that are excused, are
// those of all servers of the cluster that is connected.
func (r *requirements) checkCoverage(servers []varz, silent int) error {
	seen, size := map[string]bool{}, 1
	for _, s := range servers {
		name, known := s.cluster()
		if connected := r.conn.ConnectedClusterName(); name != connected {
			return unverified(fmt.Sprintf("the report of server %s is of another cluster: %q", s.Name, name), fmt.Sprintf("this node is connected to cluster %q", connected), nil)
		}
		seen[s.ID], size = true, max(size, known)
	}
	if len(seen)+silent < size {
		return unverified(fmt.Sprintf("it was seen of %d NATS servers only that they sync always", len(seen)), fmt.Sprintf("the cluster has %d with JetStream", size), nil)
	}
	return nil
}

func unverified(what, why string, err error) *Failure {
	f := refusal(codeSyncUnseen, what, why,
		"name the monitoring ports of all servers: --monitor http://HOST:8222,…; or accept the weaker promise: --durability replicated")
	f.Err = err
	return f
}

// reports returns what the servers say of themselves, and how many said
// nothing, with the reasons.
func (r *requirements) reports(ctx context.Context) (all []varz, silent int, err error) {
	if len(r.monitor) == 0 {
		all, err = askVarz(ctx, r.conn, time.Second)
		return all, 0, err
	}
	for _, url := range r.monitor {
		v, failure := readVarz(ctx, r.client, url)
		if failure != nil {
			silent, err = silent+1, errors.Join(err, failure)
			continue
		}
		all = append(all, v)
	}
	return all, silent, err
}
