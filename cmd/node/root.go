package node

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
)

// globalFlags are the flags that every command has.
type globalFlags struct {
	server, context        string
	creds, nkey            string
	tlsCert, tlsKey, tlsCA string
	inboxPrefix, as        string
	namespace              string
	archive, kek, why      string
	timeout                time.Duration
}

const defaultTimeout = 5 * time.Second

// newRoot makes the command tree. Making it reads nothing and touches nothing,
// so that help works anywhere.
func newRoot(s *Session) *cobra.Command {
	summary := s.app.Summary
	if summary == "" {
		summary = s.app.Name + ": an event-sourced application on NATS JetStream"
	}
	root := &cobra.Command{
		Use:           s.app.Name,
		Short:         summary,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          console.Group,
		Example: strings.Join([]string{
			"{{name}} dev                                      everything in one process, in memory",
			"{{name}} dev --data ./data                        the same, and keep it",
			"{{name}} node --name a -s nats://n1:4222          a node of a cluster",
			"{{name}} aggregate history TYPE ID                what happened to one aggregate",
			"{{name}} view ls VIEW --json                      a read model, one document a line",
			"{{name}} event tail -f                            what happens",
		}, "\n"),
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error { return s.prepare(cmd, args) },
	}
	root.SetIn(s.In())
	root.SetOut(s.Out())
	root.SetErr(s.Err())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &Failure{Code: console.CodeUsage, Exit: console.ExitUsage, What: err.Error(), Fix: "see: " + cmd.CommandPath() + " --help", Err: err}
	})
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	s.addGlobalFlags(root)
	root.AddCommand(
		newDev(s), newNode(s), newCluster(s), newAggregate(s), newCommand(s), newEvent(s), newProjection(s), newView(s), newDLQ(s), newSchema(s), newWhatif(s), newSubject(s), newKeys(s), newAudit(s), newArchive(s), newBackup(s),
		newProvision(s), newGenerate(s), newToken(s), newErrors(s), newVersion(s))
	if s.app.Commands != nil {
		root.AddCommand(s.app.Commands(s)...)
	}
	s.addWhy(root)
	console.Finish(root, s.app.Name)
	return root
}

func (s *Session) addGlobalFlags(root *cobra.Command) {
	f, flags := &s.flags, root.PersistentFlags()
	flags.StringVarP(&f.server, "server", "s", "", "NATS `URL`s, separated by commas (default: the NATS context's, else nats://127.0.0.1:4222)")
	flags.StringVar(&f.context, "context", "", "`NAME` of the NATS context (default: the selected one)")
	flags.StringVar(&f.creds, "creds", "", "`FILE` with NATS credentials")
	flags.StringVar(&f.nkey, "nkey", "", "`FILE` with a NATS nkey seed")
	flags.StringVar(&f.tlsCert, "tlscert", "", "`FILE` with the client's TLS certificate")
	flags.StringVar(&f.tlsKey, "tlskey", "", "`FILE` with the client's TLS key")
	flags.StringVar(&f.tlsCA, "tlsca", "", "`FILE` with the TLS authorities to trust")
	flags.StringVar(&f.inboxPrefix, "inbox-prefix", "", "`SUBJECT` below which answers arrive, where a user has one of its own, such as _INBOX_ann (default: the NATS context's, else _INBOX)")
	flags.StringVar(&f.as, "as", "", "`NAME` to ask under, where the NATS user may: it publishes below NS.as.NAME (default: no name)")
	flags.StringVar(&f.namespace, "ns", s.app.Name, "`NAMESPACE` to work on")
	flags.StringVar(&f.archive, "archive", "", "`PLACE` that long streams were archived to: DIR or nats:BUCKET")
	flags.StringVar(&f.kek, kekFlag, "", kekHelp)
	flags.DurationVar(&f.timeout, "timeout", defaultTimeout, "longest time for one request")
	console.AddFlags(s.Console, flags)
}

// prepare completes the flags from the environment and checks them.
func (s *Session) prepare(cmd *cobra.Command, args []string) error {
	s.prepared, s.view = true, viewOf(cmd, args)
	if err := console.ReadEnv(s.Console, cmd, "ANNALS_", natsVariables); err != nil {
		return err
	}
	if err := console.Prepare(s.Console, readableAttr); err != nil {
		return err
	}
	if s.flags.timeout <= 0 {
		return Usage("--timeout is %v; it must be more than 0", s.flags.timeout)
	}
	return s.readReason(cmd)
}

// natsVariables are the environment variables of the nats command line, with
// the flags that they stand for here.
var natsVariables = map[string]string{
	"server":  "NATS_URL",
	"context": "NATS_CONTEXT",
	"creds":   "NATS_CREDS",
	"nkey":    "NATS_NKEY",
	"tlscert": "NATS_CERT",
	"tlskey":  "NATS_KEY",
	"tlsca":   "NATS_CA",
	"timeout": "NATS_TIMEOUT",
}
