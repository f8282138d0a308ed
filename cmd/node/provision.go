package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/cmd/node/permissions"
	"github.com/annals-go/annals/cmd/node/servers"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

func newProvision(s *Session) *cobra.Command {
	f := nodeFlags{name: "provision", roles: roleNames(cluster.AllRoles()), weight: 1, http: defaultHTTP}
	var buckets []string
	cmd := &cobra.Command{
		Use:   "provision",
		Short: "Make a namespace on NATS servers, for nodes that may not",
		Long: `The streams and buckets that a node makes at its first start: the log, snapshots,
the views of this build and their registry, the directory of the cluster. What is
there stays as it is, and is checked. A node whose NATS user may not make
streams starts on it: see generate permissions, role provisioner.

It is in the audit log, and so in the log that it makes: a namespace that is to be
filled is not made beforehand, for a restore or a migration makes its own.`,
		Example: `{{name}} provision -s nats://n1:4222 --monitor http://n1:8222,http://n2:8222,http://n3:8222
{{name}} provision --durability single --bucket ARCHIVE
{{name}} provision --as provisioner --nkey provisioner.nk --inbox-prefix _INBOX_provisioner --json`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := f.config(cmd, s)
			if err != nil {
				return err
			}
			for _, b := range buckets {
				if err := permissions.CheckName("bucket", b); err != nil {
					return wrongFlag(err)
				}
			}
			return s.provision(cmd.Context(), config, buckets)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.partitions, "partitions", 0, "`NUMBER` of partitions (default: 128 for a new namespace)")
	flags.IntVar(&f.logStreams, "log-streams", 0, "`NUMBER` of streams that events are appended to (default: 1 for a new namespace)")
	flags.IntVar(&f.replicas, "replicas", 0, "`COPIES` of the data (default 3; 1 with --durability single or none)")
	flags.StringVar(&f.durability, "durability", string(servers.ReplicatedSync), "the `PROMISE` to keep, see node --help: "+strings.Join(promiseNames(), ", "))
	flags.StringSliceVar(&f.monitor, "monitor", nil, "monitoring `URL`s of all NATS servers, separated by commas")
	addViewsFlag(cmd, &f.views)
	flags.BoolVar(&f.keepCommands, "keep-commands", false, keepCommandsHelp)
	flags.StringSliceVar(&buckets, "bucket", nil, "make these object stores too, for archives and backups: the `BUCKET` of nats:BUCKET")
	return cmd
}

// provisioned is what provision tells programs.
type provisioned struct {
	Namespace  string   `json:"namespace"`
	Partitions int      `json:"partitions"`
	LogStreams int      `json:"log_streams"`
	Replicas   int      `json:"replicas"`
	Views      []string `json:"views"` // models with a bucket
}

// provisioning is what provision is to make.
type provisioning struct {
	session *Session
	*production
	buckets []string
	done    provisioned
}

// provision does what a node does before it serves, and ends.
func (s *Session) provision(ctx context.Context, config nodeConfig, buckets []string) error {
	p := &provisioning{session: s, production: newProduction(s, config), buckets: buckets}
	p.member.alone = true // whatever the node joins comes after the log
	if err := p.member.openConnection(ctx); err != nil {
		return err
	}
	s.conns = append(s.conns, p.member.conn)
	if err := p.record(ctx); err != nil {
		return err
	}
	if s.JSON() {
		return s.Print(p.done)
	}
	_, err := fmt.Fprintf(s.Out(), "namespace %s is there: %s, %s of the data; a node may start on it\n",
		p.done.Namespace, console.Plural(p.done.Partitions, "partition"), copies(max(p.done.Replicas, 1)))
	return err
}

// copies is a number of copies.
func copies(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return humanize.Comma(int64(n)) + " copies"
}

// record has all made, and the log say so: one that is made now as soon as it is there.
func (p *provisioning) record(ctx context.Context) error {
	if !p.member.absent {
		return p.session.acting(ctx, actionProvision, p.told(), func() error {
			opened := false
			err := p.withLog(ctx, func() error {
				opened = true
				return p.fill(ctx)
			})
			if !opened && errors.Is(err, store.ErrInvalid) && p.session.flags.archive == "" {
				// A log that is there, and is another one, is looked at and stays as it is, also where commands are to be
				// kept from now on; an archive is made before it.
				err = untouched(err)
			}
			return err
		})
	}
	return p.withLog(ctx, func() error {
		err := p.session.recorded(ctx, directly(p.member.ledger), actionProvision, p.told(), func() error { return p.fill(ctx) })
		if f, is := errors.AsType[*Failure](err); is && errors.Is(err, errUnrecorded) {
			f.What = "the log was made, and nothing else, for it cannot be written into the audit log"
		}
		return err
	})
}

const actionProvision = "provision"

// told says what is to be there, for the audit log.
func (p *provisioning) told() string {
	log := &p.member.log
	text := p.session.Namespace()
	if p.member.absent {
		text += fmt.Sprintf(", new: %s, %s, %s", console.Plural(p.member.events.Partitions(), "partition"), console.Plural(max(log.LogStreams, 1), "log stream"), copies(max(p.copies, 1)))
	}
	if log.KeepCommands {
		text += ", commands kept"
	}
	if len(p.buckets) > 0 {
		text += ", buckets " + strings.Join(p.buckets, ", ")
	}
	return text
}

// withLog has the log there while do is done.
func (p *provisioning) withLog(ctx context.Context, do func() error) error {
	if err := p.member.openLog(ctx); err != nil {
		return err
	}
	defer func() { _ = p.member.closeLog() }() // what was appended is acknowledged
	return do()
}

// fill makes what stands beside the log.
func (p *provisioning) fill(ctx context.Context) error {
	m := p.member
	p.done = provisioned{
		Namespace: p.session.Namespace(), Partitions: m.events.Partitions(), LogStreams: max(m.log.LogStreams, 1), Replicas: p.copies, Views: []string{},
	}
	if err := m.provisionViews(ctx, &p.done); err != nil {
		return err
	}
	if err := m.provisionKeys(ctx); err != nil {
		return err
	}
	for _, b := range p.buckets {
		if _, err := jetstream.OpenVault(ctx, m.conn, b, max(m.log.Replicas, 1)); err != nil {
			return err
		}
	}
	return cluster.Provision(ctx, m.conn, p.session.Namespace(), max(m.log.Replicas, 1), m.log.InMemory)
}

// unprovisioned says what to do if a namespace, or a part of it, was not there and could not be made: because this
// user may not, which is certain, or because nobody answered.
func (m *member) unprovisioned(err error) error {
	name, ns := m.session.app.Name, m.session.Namespace()
	f := &Failure{What: "namespace " + ns + " is not there, or not all of it", Err: err}
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		f.Code, f.Exit, f.Why = codeNoPermit, console.ExitForbidden, "this user may not make it: "+err.Error()
		f.Fix = fmt.Sprintf("have a user make it who may: %s provision --ns %s", name, ns)
	case m.absent && errors.Is(err, store.ErrUnavailable):
		f.Code, f.Exit, f.Why = gateway.CodeUnavailable, console.ExitUnavailable, "it could not be made: "+err.Error()
		f.Fix = fmt.Sprintf("see whether the servers are up; to have it made by another user: %s provision --ns %s", name, ns)
	default:
		return err
	}
	return f
}

// provisionKeys makes the key store, if there are personal data to be sealed. No key is made.
func (m *member) provisionKeys(ctx context.Context) error {
	personal, err := m.session.app.personal()
	if err != nil || len(personal) == 0 {
		return err
	}
	_, err = m.openKeyStore(ctx)
	return err
}

// provisionViews makes the registry, and the buckets of the models that this build
// begins with, if that is where views are kept.
func (m *member) provisionViews(ctx context.Context, done *provisioned) error {
	if _, _, err := kv.NewRegistry(m.kv()).Load(ctx, m.session.app.Name); err != nil { // which makes the bucket
		return err
	}
	if m.store.kind != viewsKV {
		return nil
	}
	views := kv.New(m.kv())
	for _, p := range m.session.app.Projections {
		d := p.Describe()
		model := projector.Model{View: d.Name, Version: d.Version}
		if _, err := views.Open(ctx, projector.Layout{Model: model}); err != nil {
			return err
		}
		done.Views = append(done.Views, model.String())
	}
	return nil
}
