package embedded

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/conf"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// inProcess is the server's name for connections that never were on a network.
const inProcess = "IN_PROCESS"

// usersSettings are what a file of users may have. Everything else of a server
// would be left out in silence, or is the caller's to say.
var usersSettings = []string{"accounts", "authorization", "system_account", "max_payload", "max_control_line"}

// insider is the user of the process itself. Its key is made at each start and
// never leaves the memory.
type insider struct {
	public string
	keys   nkeys.KeyPair
}

func (i *insider) sign(nonce []byte) ([]byte, error) { return i.keys.Sign(nonce) }

// addUsers takes the users of the file over, and adds the insider to the account
// that it returns, nil for the global one. Without a file there is nobody.
func addUsers(opts *natsserver.Options, cfg Config) (*natsserver.Account, *insider, error) {
	if cfg.UsersFile == "" {
		return nil, nil, nil
	}
	file, err := readUsers(cfg.UsersFile)
	var account *natsserver.Account
	if err == nil {
		account, err = chooseAccount(file, cfg.Account)
	}
	if err != nil {
		return nil, nil, &UsersError{File: cfg.UsersFile, Reason: err}
	}
	opts.Accounts, opts.Users, opts.Nkeys = file.Accounts, file.Users, file.Nkeys
	opts.SystemAccount, opts.AuthTimeout = file.SystemAccount, file.AuthTimeout
	opts.MaxControlLine = file.MaxControlLine
	if file.MaxPayload > 0 {
		opts.MaxPayload = file.MaxPayload
	}
	in, err := newInsider()
	if err != nil {
		return nil, nil, err
	}
	opts.Nkeys = append(opts.Nkeys, &natsserver.NkeyUser{
		Nkey: in.public, Account: account, AllowedConnectionTypes: map[string]struct{}{inProcess: {}},
	})
	return account, in, nil
}

// CheckAccess reads the files of users and of certificates as [Start] would, and changes nothing. The error is
// [ErrUsers] or [ErrTLS] where it is theirs.
func (c Config) CheckAccess() error {
	if _, err := c.TLS.config(); err != nil {
		return err
	}
	_, _, err := addUsers(&natsserver.Options{}, c)
	return err
}

// readUsers has the server itself read the file, so that it means here what it
// means there.
func readUsers(path string) (*natsserver.Options, error) {
	settings, err := conf.ParseFile(path)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !slices.Contains(usersSettings, strings.ToLower(name)) {
			return nil, fmt.Errorf("setting %s is not one of %s", name, strings.Join(usersSettings, ", "))
		}
	}
	file, err := natsserver.ProcessConfigFile(path)
	switch {
	case err != nil:
		return nil, err
	case file.NoAuthUser != "":
		return nil, errors.New("no_auth_user would let in whoever comes")
	case file.Username != "" || file.Authorization != "" || file.AuthCallout != nil:
		return nil, errors.New("want accounts with users, not one user or token for all")
	case len(file.Users)+len(file.Nkeys) == 0:
		return nil, errors.New("it has no users")
	}
	return file, nil
}

// chooseAccount returns the account of that name, or the only one; nil if the
// users are in none.
func chooseAccount(file *natsserver.Options, name string) (*natsserver.Account, error) {
	var names []string
	for _, a := range file.Accounts {
		if a.GetName() == name {
			return a, nil
		}
		if a.GetName() != file.SystemAccount {
			names = append(names, a.GetName())
		}
	}
	switch {
	case name != "":
		return nil, fmt.Errorf("no account %q; there are: %s", name, strings.Join(names, ", "))
	case len(names) == 0:
		return nil, nil
	case len(names) > 1:
		return nil, fmt.Errorf("name one of its accounts: %s", strings.Join(names, ", "))
	}
	return chooseAccount(file, names[0])
}

func newInsider() (*insider, error) {
	keys, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	public, err := keys.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return &insider{public: public, keys: keys}, nil
}
