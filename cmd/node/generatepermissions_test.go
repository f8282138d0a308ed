package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// permitted works out the users that the flags name, as the command does.
func permitted(t *testing.T, f permissionFlags) permissions {
	t.Helper()
	s, _, _ := testSession(nil)
	s.flags.namespace = "bank"
	f.logStreams, f.builds, f.epochs = max(f.logStreams, 1), 1, 1
	f.format = formatConf
	p, err := f.permissions(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The server reads what is printed, and has the same users with the same lists.
func TestPermissionsAreReadByTheServer(t *testing.T) {
	t.Parallel()
	p := permitted(t, permissionFlags{keys: t.TempDir(), buckets: []string{"OLD"}, logStreams: 3})
	path := filepath.Join(t.TempDir(), "users.conf")
	if err := os.WriteFile(path, []byte(p.conf()), 0o600); err != nil {
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
	if len(has) != len(permissionRoles) || read.NoAuthUser != "" {
		t.Fatalf("%d users, want %d; whoever comes is %q", len(has), len(permissionRoles), read.NoAuthUser)
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
	p := permitted(t, permissionFlags{plain: true, buckets: []string{"OLD"}, logStreams: 2})
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
