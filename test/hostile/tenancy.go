package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// tenancy is a way to keep two tenants on one server.
type tenancy struct {
	name string
	// honest and hostile are the namespaces.
	honest, hostile string
	// guarded says that permissions leave the hostile client its own name only;
	// otherwise its account is its own, and it may do there whatever it likes.
	guarded bool
	// open says that nothing keeps them apart: what the enemy does must be seen to work
	// where nothing is in its way.
	open bool
	// users writes the users of the server, and keys that they come with.
	users func(ctx context.Context, keys string) (string, error)
}

// namespaces is one account for both and a namespace for each, with the permissions
// that the product prints.
var namespaces = tenancy{name: "a namespace for each", honest: "a", hostile: "b", guarded: true, users: printed}

// accounts is an account for each, with the same namespace in both: nothing that one
// publishes is a subject of the other's.
var accounts = tenancy{name: "an account for each", honest: "bank", hostile: "bank", users: constant(`
accounts {
  A { jetstream: enabled, users: [ { user: node-a, password: x }, { user: alice, password: x } ] }
  B { jetstream: enabled, users: [ { user: node-b, password: x }, { user: mallory, password: x } ] }
}`)}

// nothing keeps the tenants apart.
var nothing = tenancy{name: "nothing between them", honest: "a", hostile: "b", open: true, users: constant(`
authorization { users: [
  { user: node-a, password: x }, { user: alice, password: x }, { user: node-b, password: x }, { user: mallory, password: x }
] }`)}

func constant(text string) func(context.Context, string) (string, error) {
	return func(context.Context, string) (string, error) { return text, nil }
}

// Where the list of users begins and ends in what is printed.
const usersBegin, usersEnd = "    users: [\n", "    ]\n  }\n}\n"

// auditor reads what the honest tenant has.
const auditor = "audra"

// printed has "generate permissions" print the users of both namespaces, and puts them
// into one account.
func printed(ctx context.Context, keys string) (string, error) {
	texts := make([]string, 2)
	for i, who := range [][]string{{"a", "alice=client", "node-a=node", "views-a=projector", "pat-a=provisioner", auditor + "=auditor"}, {"b", "mallory=client", "node-b=node", "views-b=projector", "pat-b=provisioner"}} {
		out, talk := newText(), newText()
		args := []string{"generate", "permissions", "--ns", who[0], "--account", "SHARED", "--keys", keys, "--builds", "1", "--key-epochs", "1"}
		for _, user := range who[1:] {
			args = append(args, "--user", user)
		}
		if code := call(ctx, nil, out, talk, args...); code != 0 {
			return "", fmt.Errorf("generate permissions: exit code %d: %s", code, talk)
		}
		texts[i] = out.String()
	}
	_, more, begins := strings.Cut(texts[1], usersBegin)
	more, ends := strings.CutSuffix(more, usersEnd)
	all, also := strings.CutSuffix(texts[0], usersEnd)
	if !begins || !ends || !also {
		return "", errors.New("generate permissions prints something else than a list of users")
	}
	return all + more + usersEnd, nil
}

// arena is a server of two tenants.
type arena struct {
	tenancy
	dir    string
	server *server.Server
}

func (c tenancy) raise(ctx context.Context, dir string) (*arena, error) {
	a := &arena{tenancy: c, dir: dir}
	users, err := c.users(ctx, a.keys())
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "server.conf")
	config := fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\n%s", filepath.Join(dir, "data"), users)
	if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
		return nil, err
	}
	options, err := server.ProcessConfigFile(name)
	if err != nil {
		return nil, err
	}
	options.NoLog, options.NoSigs = true, true
	if a.server, err = server.NewServer(options); err != nil {
		return nil, err
	}
	a.server.Start()
	if !a.server.ReadyForConnections(soon) {
		return nil, errors.New("the server does not start")
	}
	return a, nil
}

// soon is how long to wait for what must happen.
const soon = time.Minute

func (a *arena) lower() {
	a.server.Shutdown()
	a.server.WaitForShutdown()
}

func (a *arena) keys() string { return filepath.Join(a.dir, "keys") }

// as are the flags, and the environment, of a command line that comes as a user.
func (a *arena) as(user string) (env map[string]string, args []string) {
	args = []string{"--server", a.server.ClientURL()}
	if !a.guarded {
		return map[string]string{"NATS_USER": user, "NATS_PASSWORD": "x"}, args
	}
	return nil, append(args, "--nkey", filepath.Join(a.keys(), user+".nk"), "--inbox-prefix", "_INBOX_"+user)
}

func (a *arena) connect(user string, more ...nats.Option) (*nats.Conn, error) {
	who := nats.UserInfo(user, "x")
	if a.guarded {
		var err error
		if who, err = nats.NkeyOptionFromSeed(filepath.Join(a.keys(), user+".nk")); err != nil {
			return nil, err
		}
	}
	ignore := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}) // they are made on purpose
	return nats.Connect(a.server.ClientURL(), append([]nats.Option{who, ignore, nats.CustomInboxPrefix("_INBOX_" + user)}, more...)...)
}
