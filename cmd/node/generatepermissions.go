package node

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/store"
)

// permissionFlags are what generate permissions is told.
type permissionFlags struct {
	roles, users    []string
	format, account string
	keys            string
	buckets         []string
	logStreams      int
	builds, epochs  int
	plain           bool
}

const (
	formatConf = "conf"
	formatNSC  = "nsc"
)

func newGeneratePermissions(s *Session) *cobra.Command {
	var f permissionFlags
	cmd := &cobra.Command{
		Use:   "permissions",
		Short: "Print NATS users that may do what their role needs, and nothing else",
		Long: `For each user what it may publish and subscribe to, as the section accounts of a
NATS server's configuration, or as commands of nsc. The roles are:
  client       sends commands and asks, under its own name
  node         actors and gateway: appends to the log, keeps snapshots
  projector    views: follows the log, keeps views in KV, builds them again
  operator     what the operator commands do: views, dead letters, cluster
  privacy-officer
               forgets persons, and exports what is held about them
  archivist    archives and backs up: for the moment of that, for it may take
               anything out of the log
  auditor      reads the log with what operators did, and the state of
               aggregates, and changes nothing
  provisioner  makes the namespace, restores, migrates and rotates keys: for the
               moment of that

All but node and projector ask under their own name: --as NAME here,
ClientConfig.Principal in Go, NS.as.NAME. before the subjects. So commands and the
audit log have who it was. A user that may publish all of NS.as.NAME.> may operate
the system and forget persons, unless nodes are told otherwise with --named.

A node with all roles needs a user of each: start it twice, as --roles
actors,gateway and as --roles projectors.

Each user has inboxes of its own, which its connection has to name:
--inbox-prefix _INBOX_USER here, inbox_prefix in a NATS context,
nats.CustomInboxPrefix in Go. Who answers names whom it answers: print all users
at once, and again when one is added.

It is printed from what this build is, and asks no server: print it again when
views, or --log-streams of the namespace, are others.`,
		Example: `{{name}} generate permissions --keys ./keys > accounts.conf
{{name}} generate permissions --user ann=client --user web=client --user n1=node --user n2=projector
{{name}} generate permissions --role auditor
{{name}} generate permissions --format nsc`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := f.permissions(s)
			if err != nil {
				return err
			}
			return s.printPermissions(p, f.format)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.roles, "role", nil, "print the users of these `ROLE`s only: "+strings.Join(permissionRoles, ", "))
	flags.StringSliceVar(&f.users, "user", nil, "`NAME=ROLE` of a user; may come often (default: one of each role, named like it)")
	flags.StringVar(&f.format, "format", formatConf, "conf: a NATS server's configuration; nsc: commands")
	flags.StringVar(&f.account, "account", "", "`NAME` of the account (default: that of the namespace, in capitals)")
	flags.StringVar(&f.keys, "keys", "", "keep the users' nkey seeds in `DIR`, one file USER.nk each, made where there is none (default: placeholders)")
	flags.StringSliceVar(&f.buckets, "bucket", nil, "object stores that archives and backups are kept in: the `BUCKET` of nats:BUCKET")
	flags.IntVar(&f.logStreams, "log-streams", 1, "`NUMBER` of log streams of the namespace")
	flags.IntVar(&f.builds, "builds", 16, "how many builds of each view there may be: `NUMBER` of rebuilds before this has to be printed again")
	flags.IntVar(&f.epochs, "key-epochs", 16, "how many epochs of the key stream there may be: `NUMBER` of rotations before this has to be printed again")
	flags.BoolVar(&f.plain, "plain", false, "users may ask without their name in the subject, too, and so as nobody")
	perCall(cmd, "role", "user", "format", "account", "keys", "plain")
	return cmd
}

// permissions are what is printed.
type permissions struct {
	App       string
	Namespace string
	Account   string
	Users     []permittedUser
}

// permittedUser is a user and what it may do.
type permittedUser struct {
	Name string `json:"user"`
	Role string `json:"role"`
	// Key is the public nkey; empty: none was made.
	Key   string `json:"nkey,omitempty"`
	Seed  string `json:"seed_file,omitempty"`
	Inbox string `json:"inbox_prefix"`
	// Responses says that it may answer, for a while, where a message that it got
	// says.
	Responses bool   `json:"allow_responses,omitempty"`
	Rules     []rule `json:"rules"`
}

// userName is what may be one token of a subject and the name of a file.
var userName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

func (f *permissionFlags) check(s *Session) error {
	if err := store.ValidateName("namespace", s.Namespace()); err != nil {
		return Usage("--ns: %v", err)
	}
	for _, r := range f.roles {
		if !slices.Contains(permissionRoles, r) {
			return Usage("--role %q: want %s", r, strings.Join(permissionRoles, ", "))
		}
	}
	for _, b := range f.buckets {
		if !userName.MatchString(b) {
			return Usage("--bucket %q: want letters, digits, - and _", b)
		}
	}
	switch {
	case f.format != formatConf && f.format != formatNSC:
		return Usage("--format %q: want %s or %s", f.format, formatConf, formatNSC)
	case f.account != "" && !userName.MatchString(f.account):
		return Usage("--account %q: want letters, digits, - and _", f.account)
	case f.logStreams < 1 || f.logStreams > 64:
		return Usage("--log-streams is %d; want 1 to 64", f.logStreams)
	case f.builds < 1 || f.builds > 1000 || f.epochs < 1 || f.epochs > 1000:
		return Usage("--builds and --key-epochs: want 1 to 1000")
	}
	return nil
}

// permissions works out what every user may do, and leaves those out that are
// not to be printed.
func (f *permissionFlags) permissions(s *Session) (p permissions, err error) {
	if err := f.check(s); err != nil {
		return p, err
	}
	p = permissions{App: s.app.Name, Namespace: s.Namespace(), Account: f.account}
	p.Account = cmp.Or(p.Account, strings.ToUpper(s.Namespace()))
	if p.Users, err = f.parseUsers(); err != nil {
		return p, err
	}
	g := f.grounds(s, p.Users)
	for i := range p.Users {
		u := &p.Users[i]
		u.Rules, u.Responses = g.rules(u), mayRespond(u.Role)
	}
	if len(f.roles) > 0 {
		p.Users = slices.DeleteFunc(p.Users, func(u permittedUser) bool { return !slices.Contains(f.roles, u.Role) })
	}
	return p, f.addKeys(p.Users)
}

func (f *permissionFlags) parseUsers() ([]permittedUser, error) {
	given := f.users
	if len(given) == 0 {
		for _, r := range permissionRoles {
			given = append(given, r+"="+r)
		}
	}
	var users []permittedUser
	for _, text := range given {
		name, role, _ := strings.Cut(text, "=")
		if !userName.MatchString(name) || !slices.Contains(permissionRoles, role) {
			return nil, Usage("--user %q: want NAME=ROLE, with a role of %s", text, strings.Join(permissionRoles, ", "))
		}
		if slices.ContainsFunc(users, func(u permittedUser) bool { return u.Name == name }) {
			return nil, Usage("--user %q: there is one of that name already", text)
		}
		users = append(users, permittedUser{Name: name, Role: role, Inbox: "_INBOX_" + name})
	}
	return users, nil
}

func (s *Session) printPermissions(p permissions, format string) error {
	if s.JSON() {
		for _, u := range p.Users {
			if err := s.Print(u); err != nil {
				return err
			}
		}
		return nil
	}
	text := p.conf()
	if format == formatNSC {
		text = p.nsc()
	}
	_, err := s.Out().Write([]byte(text))
	return err
}
