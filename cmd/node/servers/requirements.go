package servers

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

// Codes of the failures by which servers are refused.
const (
	CodeTooOld        gateway.Code = "SERVER_TOO_OLD"
	CodeNoJetStream   gateway.Code = "NO_JETSTREAM"
	CodeNotReplicated gateway.Code = "NOT_REPLICATED"
	CodeNotSynced     gateway.Code = "NOT_SYNCED"
	CodeSyncUnseen    gateway.Code = "SYNC_UNSEEN"
)

// Requirements are what the servers must be and keep before a node starts on
// them. Looking changes nothing there.
type Requirements struct {
	// Conn is the connection by which the servers are asked.
	Conn *nats.Conn
	// Namespace is the one to be served. It need not be there.
	Namespace string
	// Version is that of the server that is connected.
	Version string
	// Promise is what the servers must be able to keep.
	Promise Promise
	// Copies are the fewest that there must be: at least those of the promise.
	Copies int
	// Monitor says where the servers' reports are, as [ParseMonitors] returns it;
	// none: they are asked for over NATS.
	Monitor []string
	// Client asks there. It may be nil if Monitor is empty.
	Client *http.Client
	// Logger is told of reports that are missing and may be.
	Logger *slog.Logger
}

// Check returns how the namespace was created, nil if it is not there yet. The
// error is a [*console.Failure] that says what to change, or ctx's, or what the
// log failed with when it was looked at.
func (r *Requirements) Check(ctx context.Context) (*jetstream.Config, error) {
	if err := checkVersion("the NATS server", r.Version); err != nil {
		return nil, err
	}
	if err := r.checkJetStream(ctx); err != nil {
		return nil, err
	}
	has, err := r.checkCopies(ctx)
	if err != nil || r.Promise != ReplicatedSync {
		return has, err
	}
	return has, r.checkSync(ctx, has != nil)
}

func refusal(code gateway.Code, what, why, fix string) *console.Failure {
	return &console.Failure{Code: code, Exit: console.ExitFailure, What: what, Why: why, Fix: fix}
}

func checkVersion(server, version string) error {
	if newEnough(version) {
		return nil
	}
	return refusal(CodeTooOld,
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

func (r *Requirements) checkJetStream(ctx context.Context) error {
	js, err := natsjs.New(r.Conn)
	if err != nil {
		return err
	}
	switch _, err = js.AccountInfo(ctx); {
	case errors.Is(err, natsjs.ErrJetStreamNotEnabled):
		return refusal(CodeNoJetStream, "the NATS server has no JetStream", "it was started without", "add the section jetstream to its configuration")
	case errors.Is(err, natsjs.ErrJetStreamNotEnabledForAccount):
		return refusal(CodeNoJetStream, "the account has no JetStream", "the NATS server gives it none", "enable jetstream for the account in the servers' configuration")
	}
	return nil // whether it works now is for the log to find out, patiently
}

// checkCopies looks whether there are as many copies as must be, or can be.
func (r *Requirements) checkCopies(ctx context.Context) (*jetstream.Config, error) {
	has, err := r.existing(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound):
		if r.Copies > 1 && r.Conn.ConnectedClusterName() == "" {
			return nil, refusal(CodeNotReplicated,
				fmt.Sprintf("namespace %s cannot have %d copies", r.Namespace, r.Copies), "the NATS server is not part of a cluster",
				"name servers of a cluster with --server, or accept the weaker promise: --durability single")
		}
		return nil, nil
	case err != nil:
		return nil, err
	case has.Replicas < r.Copies:
		return nil, refusal(CodeNotReplicated,
			fmt.Sprintf("namespace %s is kept in fewer copies than promised: %d of %d", r.Namespace, has.Replicas, r.Copies),
			"what is lost with the servers that keep them is lost for good",
			raise(r.Namespace, r.Copies, has.LogStreams)+"; or accept the weaker promise: --durability single")
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
func (r *Requirements) existing(ctx context.Context) (jetstream.Config, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderPatience)
	defer cancel()
	for {
		once, cancel := context.WithTimeout(ctx, leaderPatience/6)
		has, err := jetstream.Existing(once, r.Conn, r.Namespace)
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
func (r *Requirements) checkSync(ctx context.Context, exists bool) error {
	servers, silent, err := r.reports(ctx)
	if err != nil && (!exists || silent >= len(servers)) {
		return unverified("a server's report cannot be read", err.Error(), err)
	}
	if err != nil {
		r.Logger.Warn("a server's report cannot be read", "err", err)
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
		return refusal(CodeNotSynced, "not all NATS servers sync always: "+strings.Join(lax, ", "),
			"a power cut of all servers at once would lose acknowledged commands, or everything",
			"set sync_interval: always in the section jetstream of their configuration; or accept the weaker promise: --durability replicated")
	}
	return r.checkCoverage(servers, silent)
}

// checkCoverage looks whether the reports, with those that are excused, are
// those of all servers of the cluster that is connected.
func (r *Requirements) checkCoverage(servers []report, silent int) error {
	seen, size := map[string]bool{}, 1
	for _, s := range servers {
		name, known := s.cluster()
		if connected := r.Conn.ConnectedClusterName(); name != connected {
			return unverified(fmt.Sprintf("the report of server %s is of another cluster: %q", s.Name, name), fmt.Sprintf("this node is connected to cluster %q", connected), nil)
		}
		seen[s.ID], size = true, max(size, known)
	}
	if len(seen)+silent < size {
		return unverified(fmt.Sprintf("it was seen of %d NATS servers only that they sync always", len(seen)), fmt.Sprintf("the cluster has %d with JetStream", size), nil)
	}
	return nil
}

func unverified(what, why string, err error) *console.Failure {
	f := refusal(CodeSyncUnseen, what, why,
		"name the monitoring ports of all servers: --monitor http://HOST:8222,…; or accept the weaker promise: --durability replicated")
	f.Err = err
	return f
}

// reports returns what the servers say of themselves, and how many said
// nothing, with the reasons.
func (r *Requirements) reports(ctx context.Context) (all []report, silent int, err error) {
	if len(r.Monitor) == 0 {
		all, err = askReports(ctx, r.Conn, time.Second)
		return all, 0, err
	}
	for _, url := range r.Monitor {
		v, failure := readReport(ctx, r.Client, url)
		if failure != nil {
			silent, err = silent+1, errors.Join(err, failure)
			continue
		}
		all = append(all, v)
	}
	return all, silent, err
}
