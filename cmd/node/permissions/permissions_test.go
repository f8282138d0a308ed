package permissions_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/annals-go/annals/cmd/node/permissions"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// planned works out the users of a bank, with one build of its view.
func planned(t *testing.T, p permissions.Plan) permissions.Set {
	t.Helper()
	p.App, p.Namespace, p.Builds, p.Epochs = "bank", "bank", 1, 1
	p.Views, p.LogStreams = []projector.Model{{View: "turnovers", Version: 1}}, max(p.LogStreams, 1)
	set, err := p.Set()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// The server reads what is printed, and has the same users with the same lists.
func TestPermissionsAreReadByTheServer(t *testing.T) {
	t.Parallel()
	p := planned(t, permissions.Plan{Buckets: []string{"OLD"}, LogStreams: 3})
	if err := p.AddKeys(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users.conf")
	if err := os.WriteFile(path, []byte(p.Conf()), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]*server.NkeyUser{}
	for _, u := range read.Nkeys {
		has[u.Nkey] = u
	}
	if len(has) != len(permissions.Roles()) || read.NoAuthUser != "" {
		t.Fatalf("%d users, want %d; whoever comes is %q", len(has), len(permissions.Roles()), read.NoAuthUser)
	}
	for _, u := range p.Users {
		got := has[u.Key]
		if got == nil || got.Account.GetName() != "BANK" {
			t.Fatalf("user %s is read as %+v", u.Name, got)
		}
		var publish, subscribe []string
		for _, r := range u.Rules {
			publish, subscribe = append(publish, r.Publish...), append(subscribe, r.Subscribe...)
		}
		sameList(t, u.Name+" publishes", got.Permissions.Publish.Allow, publish)
		sameList(t, u.Name+" subscribes", got.Permissions.Subscribe.Allow, subscribe)
		if bounded := got.Permissions.Response; (bounded != nil) != u.Responses || bounded != nil && (bounded.MaxMsgs < 1 || bounded.Expires < 1) {
			t.Errorf("%s may respond: %+v", u.Name, bounded)
		}
	}
}

func sameList(t *testing.T, what string, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What no role may have, whatever the flags say.
func TestNobodyMayDoWhatNoRoleNeeds(t *testing.T) {
	t.Parallel()
	p := planned(t, permissions.Plan{Plain: true, Buckets: []string{"OLD"}, LogStreams: 2})
	for _, u := range p.Users {
		for _, r := range u.Rules {
			if r.Why == "" {
				t.Errorf("%s: a rule without a reason: %v", u.Name, r)
			}
			for _, subject := range append(append([]string{}, r.Publish...), r.Subscribe...) {
				for _, never := range []string{"$SYS", "$JS.API.>", "STREAM.RESTORE", "STREAM.SNAPSHOT", "ACCOUNT", "STREAM.DELETE.ANNALS_bank_events", "STREAM.*"} {
					if strings.Contains(subject, never) {
						t.Errorf("%s: %s", u.Name, subject)
					}
				}
				if subject == ">" || strings.HasPrefix(subject, "_INBOX.") || strings.HasPrefix(subject, "*") || strings.HasPrefix(subject, "bank.>") {
					t.Errorf("%s: %s", u.Name, subject)
				}
			}
		}
	}
}

// A plan that cannot be is refused, and says what of it.
func TestPlansThatCannotBe(t *testing.T) {
	t.Parallel()
	for what, p := range map[string]permissions.Plan{
		"namespace":   {Namespace: "a b", LogStreams: 1, Builds: 1, Epochs: 1},
		"account":     {Namespace: "bank", Account: "A.B", LogStreams: 1, Builds: 1, Epochs: 1},
		"bucket":      {Namespace: "bank", Buckets: []string{"*"}, LogStreams: 1, Builds: 1, Epochs: 1},
		"user":        {Namespace: "bank", Users: []permissions.Holder{{"ann", "client"}, {"ann", "node"}}, LogStreams: 1, Builds: 1, Epochs: 1},
		"role":        {Namespace: "bank", Users: []permissions.Holder{{"ann", "king"}}, LogStreams: 1, Builds: 1, Epochs: 1},
		"log-streams": {Namespace: "bank", Builds: 1, Epochs: 1},
		"builds":      {Namespace: "bank", LogStreams: 1, Builds: 1001, Epochs: 1},
		"key-epochs":  {Namespace: "bank", LogStreams: 1, Builds: 1},
	} {
		_, err := p.Set()
		if e, ok := errors.AsType[*store.InvalidError](err); !ok || e.What != what {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Who is left out of what is printed is answered all the same.
func TestUsersWhoAreLeftOutAreAnswered(t *testing.T) {
	t.Parallel()
	p := planned(t, permissions.Plan{Users: []permissions.Holder{{"ann", "client"}, {"n1", "node"}}})
	p.Only("node")
	if len(p.Users) != 1 || p.Users[0].Name != "n1" {
		t.Fatalf("%+v", p.Users)
	}
	if conf := p.Conf(); !strings.Contains(conf, `"_INBOX_ann.>"`) {
		t.Errorf("the node may not answer ann:\n%s", conf)
	}
}
