package node_test

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/test/configured"
)

// What each user may not: ann nothing, blind not read the directory of the cluster, dumb not write to it, mute not
// append to the log.
const outcomeUsers = `jetstream: enabled
authorization { users: [
	{ user: ann, password: pw }
	{ user: blind, password: pw, permissions: { publish: { deny: ["$JS.API.DIRECT.GET.KV_ANNALS_bank_cluster", "$JS.API.DIRECT.GET.KV_ANNALS_bank_cluster.>"] } } }
	{ user: dumb, password: pw, permissions: { publish: { deny: ["$KV.ANNALS_bank_cluster.>"] } } }
	{ user: mute, password: pw, permissions: { publish: { deny: ["bank.evt.>"] } } }
] }`

// outcomes is a server with namespaces that no node serves, so that commands write into the logs themselves.
type outcomes struct {
	t  *testing.T
	nc *nats.Conn
}

func newOutcomes(t *testing.T, namespaces ...string) *outcomes {
	t.Helper()
	o := &outcomes{t, configured.Connect(t, outcomeUsers, nats.UserInfo("ann", "pw"))}
	for _, ns := range namespaces {
		log, err := jetstream.Open(t.Context(), jetstream.Config{Conn: o.nc, Namespace: ns, Partitions: 8})
		if err == nil {
			err = log.Close()
		}
		if err == nil {
			err = cluster.Provision(t.Context(), o.nc, ns, 1, false)
		}
		if err == nil && ns != "plain" {
			_, err = jetstream.OpenKeys(t.Context(), jetstream.KeysConfig{Conn: o.nc, Namespace: ns, Create: true})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// run runs a command as a user, and returns all that it says.
func (o *outcomes) run(user string, args ...string) string {
	var all strings.Builder
	streams := node.Streams{In: strings.NewReader(""), Out: &all, Err: &all, Env: func(string) string { return "" }}
	node.Run(o.t.Context(), bank, streams, append(args, "--timeout", "1s", "--server", strings.Replace(o.nc.ConnectedUrl(), "//", "//"+user+":pw@", 1))...)
	return all.String()
}

// of returns what came of the acts of a namespace.
func (o *outcomes) of(namespace, action string) []string {
	return strings.Fields(strings.ReplaceAll(o.run("ann", "audit", "ls", "--ns", namespace, "--action", action, "--jq", ".outcome"), `"`, ""))
}

// An act that failed before its first step has failed; one that has sent something has an outcome that nobody knows.
func TestOutcomesOfActs(t *testing.T) {
	t.Parallel()
	o := newOutcomes(t, "bank", "other", "plain")
	pin(t, o.nc)
	dir := t.TempDir()
	keys, old := filepath.Join(dir, "keys"), filepath.Join(dir, "old", "archive")
	if said := o.run("ann", "keys", "copy", keys, "--ns", "other"); !strings.Contains(said, "records") {
		t.Fatal(said)
	}
	for _, c := range []struct {
		user, command, action string
		want                  []string
		namespace             string // default: bank
	}{
		{"ann", "archive run account nobody --keep 1 --yes --to " + old, "archive.run", []string{"failed:", "NOT_FOUND"}, "plain"},
		{"ann", "keys restore " + keys + " --from-ns other --yes", "keys.restore", []string{"failed:", "INVALID"}, ""},
		{"blind", "cluster rebalance", "cluster.rebalance", []string{"failed:", "NOT_PERMITTED"}, ""},
		{"dumb", "cluster rebalance", "cluster.rebalance", []string{"unknown:", "NOT_PERMITTED"}, ""},
		{"ann", "cluster rebalance", "cluster.rebalance", []string{"done"}, ""},
		{"ann", "provision --durability single --partitions 9 --keep-commands", "provision", []string{"failed:", "INVALID"}, ""},
		{"ann", "keys copy " + filepath.Join(dir, "new", "keys"), "keys.copy", []string{"done"}, ""},
		{"ann", "backup create " + filepath.Join(dir, "new", "backups") + " --keys-to " + filepath.Join(dir, "new", "apart"), "backup.create", []string{"done"}, ""},
	} {
		ns := cmp.Or(c.namespace, "bank")
		before := o.of(ns, c.action)
		said := o.run(c.user, append(strings.Fields(c.command), "--ns", ns)...)
		got := o.of(ns, c.action)
		if got = got[len(before):]; !slices.Equal(got, append([]string{"begun"}, c.want...)) {
			t.Errorf("%s as %s: %q, want %q: %s", c.command, c.user, got, c.want, said)
		}
	}
	for _, name := range []string{"old", "new/keys", "new/backups", "new/apart"} {
		if _, err := os.Stat(filepath.Join(dir, name)); os.IsNotExist(err) != (name == "old") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pin has a partition pinned in the directory of the cluster.
func pin(t *testing.T, nc *nats.Conn) {
	t.Helper()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	directory, err := js.KeyValue(t.Context(), "ANNALS_bank_cluster")
	if err == nil {
		_, err = directory.Put(t.Context(), "pin.0", []byte("a"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What cannot be written down is not done, and leaves no place behind that it would have been done in.
func TestWhatIsNotRecordedMakesNoPlace(t *testing.T) {
	t.Parallel()
	o := newOutcomes(t, "bank")
	dir := t.TempDir()
	for _, command := range []string{"keys copy " + dir + "/new/keys", "keys copy nats:KEYS", "archive run --keep 1 --yes --to " + dir + "/new/archive"} {
		if said := o.run("mute", append(strings.Fields(command), "--ns", "bank")...); !strings.Contains(said, "nothing was done") {
			t.Errorf("%s: %s", command, said)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("there are %v, %v", left, err)
	}
	js, err := natsjs.New(o.nc)
	if err != nil {
		t.Fatal(err)
	}
	for name := range js.ObjectStoreNames(t.Context()).Name() {
		t.Errorf("there is an object store %s", name)
	}
}
