package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

// newKey returns the public key of a new user and the option to come as that user.
func newKey(t *testing.T) (public string, as nats.Option) {
	t.Helper()
	keys, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err = keys.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return public, nats.Nkey(public, keys.Sign)
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const oneUser = `accounts { BANK { jetstream: enabled, users: [ { nkey: %s, permissions: { publish: "may" } } ] } }`

func TestUsersOfTheFileComeInAndNobodyElse(t *testing.T) {
	t.Parallel()
	public, as := newKey(t)
	s := start(t, Config{UsersFile: writeFile(t, fmt.Sprintf(oneUser, public)), Mappings: map[string]string{"old": "new"}})
	if nc, err := nats.Connect(s.URL()); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("without a key: %v, %v", nc, err)
	}
	_, stranger := newKey(t)
	if nc, err := nats.Connect(s.URL(), stranger); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("with another key: %v, %v", nc, err)
	}
	refused := make(chan error, 1)
	nc, err := nats.Connect(s.URL(), as, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.Publish("must-not", nil); err != nil {
		t.Fatal(err)
	}
	if err := <-refused; !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("what is not permitted: %v", err)
	}
}

func TestTheProcessItselfMayDoEverythingInTheAccount(t *testing.T) {
	t.Parallel()
	public, _ := newKey(t)
	s := start(t, Config{UsersFile: writeFile(t, fmt.Sprintf(oneUser, public)), Mappings: map[string]string{"old": "new"}})
	nc, err := s.Connect()
	js := streams(t, nc, err)
	createStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"new"}, Storage: jetstream.MemoryStorage})
	if ack := publish(t, js, "old", "x"); ack.Stream != "S" { // by the mapping of the account
		t.Errorf("stored in %q", ack.Stream)
	}
	// The same key over the network is a stranger's.
	if nc, err := nats.Connect(s.URL(), nats.Nkey(s.inside.public, s.inside.sign)); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("the process's own user over the network: %v, %v", nc, err)
	}
}

func TestUsersFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	key, _ := newKey(t)
	user := fmt.Sprintf("users: [ { nkey: %s } ]", key)
	other, _ := newKey(t)
	for name, test := range map[string]struct{ text, account, says string }{
		"no users":            {text: "accounts { BANK { jetstream: enabled } }", says: "it has no users"},
		"everybody is let in": {text: "accounts { BANK { users: [ { user: x, password: y } ] } }\nno_auth_user: x", says: "setting no_auth_user is not one of"},
		"one token for all":   {text: "authorization { token: x }", says: "want accounts with users"},
		"something else":      {text: "port: 4222\naccounts { BANK { " + user + " } }", says: "setting port is not one of"},
		"another account":     {text: "accounts { BANK { " + user + " } }", account: "SHOP", says: `no account "SHOP"; there are: BANK`},
		"two accounts": {
			text: "accounts { BANK { " + user + " }, SHOP { users: [ { nkey: " + other + " } ] } }", says: "name one of its accounts: ",
		},
		"no file":          {says: "no such file"},
		"no configuration": {text: "accounts {", says: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "none")
			if test.text != "" {
				file = writeFile(t, test.text)
			}
			s, err := Start(Config{UsersFile: file, Account: test.account, Logger: quiet})
			if err == nil {
				s.Shutdown()
				t.Fatal("it started")
			}
			of, is := errors.AsType[*UsersError](err)
			if !errors.Is(err, ErrUsers) || !is || of.File != file || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want ErrUsers with %q", err, test.says)
			}
		})
	}
}
