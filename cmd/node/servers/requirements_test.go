package servers

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/test/configured"
)

func TestNewEnough(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"2.12.0": true, "2.12.0-RC.3": true, "2.15.2": true, "3.0.0": true, "v2.12.1": true, "dev": true,
		"2.11.9": false, "2.9.25": false, "1.99.0": false,
	} {
		if newEnough(version) != want {
			t.Errorf("version %s new enough: %v, want %v", version, !want, want)
		}
	}
}

func wantRefusal(t *testing.T, err error, code gateway.Code, text string) {
	t.Helper()
	f, is := errors.AsType[*console.Failure](err)
	if !is || f.Code != code || !strings.Contains(f.Error(), text) || f.Exit != console.ExitFailure || f.Fix == "" {
		t.Errorf("error %#v, want code %s, %q in it, and a way on", err, code, text)
	}
}

func requirementsOf(nc *nats.Conn, p Promise, copies int) *Requirements {
	return &Requirements{Conn: nc, Namespace: "bank", Version: nc.ConnectedServerVersion(), Promise: p, Copies: copies, Logger: slog.New(slog.DiscardHandler)}
}

func TestServerWithoutJetStreamIsRefused(t *testing.T) {
	t.Parallel()
	nc := configured.Connect(t, "")
	_, err := requirementsOf(nc, Single, 1).Check(t.Context())
	wantRefusal(t, err, CodeNoJetStream, "no JetStream")
	nc = configured.Connect(t, "jetstream {}\naccounts { A: { users: [{user: a, password: a}] } }", nats.UserInfo("a", "a"))
	_, err = requirementsOf(nc, Single, 1).Check(t.Context())
	wantRefusal(t, err, CodeNoJetStream, "the account has no JetStream")
}

func TestServerOutsideAClusterIsRefused(t *testing.T) {
	t.Parallel()
	nc := configured.Connect(t, "jetstream {}")
	for _, p := range []Promise{ReplicatedSync, Replicated} {
		_, err := requirementsOf(nc, p, 3).Check(t.Context())
		wantRefusal(t, err, CodeNotReplicated, "not part of a cluster")
	}
	if _, err := requirementsOf(nc, Single, 1).Check(t.Context()); err != nil {
		t.Errorf("durability single: %v", err)
	}
}

// An account that imports the servers' reports from the system account sees
// whether they sync; no other does.
func TestReportsOverNATS(t *testing.T) {
	t.Parallel()
	const config = `
		jetstream { sync_interval: always }
		accounts {
			SYS: { users: [{user: s, password: s}], exports: [{service: "$SYS.REQ.SERVER.PING.VARZ", response: stream}] }
			A: {
				jetstream: enabled, users: [{user: a, password: a}]
				imports: [{service: {account: SYS, subject: "$SYS.REQ.SERVER.PING.VARZ"}}]
			}
			B: { jetstream: enabled, users: [{user: b, password: b}] }
		}
		system_account: SYS`
	nc := configured.Connect(t, config, nats.UserInfo("a", "a"))
	if err := requirementsOf(nc, ReplicatedSync, 1).checkSync(t.Context(), false); err != nil {
		t.Errorf("an account that may ask: %v", err)
	}
	nc, err := nats.Connect(nc.ConnectedUrl(), nats.UserInfo("b", "b"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	wantRefusal(t, requirementsOf(nc, ReplicatedSync, 1).checkSync(t.Context(), false), CodeSyncUnseen, "may not ask")
	nc = configured.Connect(t, strings.Replace(config, "always", "1s", 1), nats.UserInfo("a", "a"))
	wantRefusal(t, requirementsOf(nc, ReplicatedSync, 1).checkSync(t.Context(), false), CodeNotSynced, "not all NATS servers sync always")
}

func TestRaiseNamesEachStream(t *testing.T) {
	t.Parallel()
	for logStreams, want := range map[int]string{
		1: "raise them: nats stream edit ANNALS_bank_events --replicas 3",
		4: "raise them: nats stream edit ANNALS_bank_events --replicas 3, and the same for ANNALS_bank_events_0 to _3",
	} {
		if got := raise("bank", 3, logStreams); got != want {
			t.Errorf("%d log streams: %q, want %q", logStreams, got, want)
		}
	}
}

func TestMonitorsAreURLs(t *testing.T) {
	t.Parallel()
	got, err := ParseMonitors([]string{"n1:8222", "http://n2:8222/", "https://n3/nats"})
	want := "http://n1:8222/varz http://n2:8222/varz https://n3/nats/varz"
	if err != nil || strings.Join(got, " ") != want {
		t.Errorf("%q and %v, want %s", got, err, want)
	}
	for _, bad := range []string{"", "ftp://n1", "http://", "http://a b"} {
		if got, err := ParseMonitors([]string{bad}); err == nil {
			t.Errorf("%q is taken as %q", bad, got)
		}
	}
}
