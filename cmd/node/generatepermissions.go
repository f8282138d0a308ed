package node

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/cmd/node/permissions"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// permissionFlags are what generate permissions is told.
type permissionFlags struct {
	plan   permissions.Plan
	roles  []string
	users  []string
	format string
	keys   string
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
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := f.permissions(s)
			if err != nil {
				return err
			}
			return s.printPermissions(p, f.format)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.roles, "role", nil, "print the users of these `ROLE`s only: "+strings.Join(permissions.Roles(), ", "))
	flags.StringSliceVar(&f.users, "user", nil, "`NAME=ROLE` of a user; may come often (default: one of each role, named like it)")
	flags.StringVar(&f.format, "format", formatConf, "conf: a NATS server's configuration; nsc: commands")
	flags.StringVar(&f.plan.Account, "account", "", "`NAME` of the account (default: that of the namespace, in capitals)")
	flags.StringVar(&f.keys, "keys", "", "keep the users' nkey seeds in `DIR`, one file USER.nk each, made where there is none (default: placeholders)")
	flags.StringSliceVar(&f.plan.Buckets, "bucket", nil, "object stores that archives and backups are kept in: the `BUCKET` of nats:BUCKET")
	flags.IntVar(&f.plan.LogStreams, "log-streams", 1, "`NUMBER` of log streams of the namespace")
	flags.IntVar(&f.plan.Builds, "builds", 16, "how many builds of each view there may be: `NUMBER` of rebuilds before this has to be printed again")
	flags.IntVar(&f.plan.Epochs, "key-epochs", 16, "how many epochs of the key stream there may be: `NUMBER` of rotations before this has to be printed again")
	flags.BoolVar(&f.plan.Plain, "plain", false, "users may ask without their name in the subject, too, and so as nobody")
	console.PerCall(cmd, "role", "user", "format", "account", "keys", "plain")
	return cmd
}

// permissions works out what every user may do, and leaves those out that are
// not to be printed.
func (f *permissionFlags) permissions(s *Session) (set permissions.Set, err error) {
	if f.format != formatConf && f.format != formatNSC {
		return set, Usage("--format %q: want %s or %s", f.format, formatConf, formatNSC)
	}
	for _, r := range f.roles {
		if err := permissions.CheckRole(r); err != nil {
			return set, wrongFlag(err)
		}
	}
	f.plan.App, f.plan.Namespace = s.app.Name, s.Namespace()
	for _, p := range s.app.Projections {
		d := p.Describe()
		f.plan.Views = append(f.plan.Views, projector.Model{View: d.Name, Version: d.Version})
	}
	if f.plan.Users, err = f.holders(); err != nil {
		return set, err
	}
	if set, err = f.plan.Set(); err != nil {
		return set, wrongFlag(err)
	}
	set.Only(f.roles...)
	if f.keys == "" {
		return set, nil
	}
	return set, set.AddKeys(f.keys)
}

// wrongFlag is the mistake in a flag that is named like what is invalid.
func wrongFlag(err error) error {
	if e, ok := errors.AsType[*store.InvalidError](err); ok {
		return Usage("--%s %q: %s", strings.Replace(e.What, "namespace", "ns", 1), e.Value, e.Reason)
	}
	return err
}

func (f *permissionFlags) holders() (all []permissions.Holder, err error) {
	for _, text := range f.users {
		name, role, _ := strings.Cut(text, "=")
		if permissions.CheckRole(role) != nil {
			return nil, Usage("--user %q: want NAME=ROLE, with a role of %s", text, strings.Join(permissions.Roles(), ", "))
		}
		all = append(all, permissions.Holder{Name: name, Role: role})
	}
	return all, nil
}

func (s *Session) printPermissions(p permissions.Set, format string) error {
	if s.JSON() {
		for _, u := range p.Users {
			if err := s.Print(u); err != nil {
				return err
			}
		}
		return nil
	}
	text := p.Conf()
	if format == formatNSC {
		text = p.NSC()
	}
	_, err := s.Out().Write([]byte(text))
	return err
}
