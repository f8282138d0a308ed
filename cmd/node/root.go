package node

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// globalFlags are the flags that every command has.
type globalFlags struct {
	server, context         string
	creds, nkey             string
	tlsCert, tlsKey, tlsCA  string
	inboxPrefix, as         string
	namespace               string
	archive, kek, why       string
	timeout                 time.Duration
	json                    bool
	jq                      string
	noColor, verbose, quiet bool
	logLevel                string
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
		RunE:          group,
		Example: strings.Join([]string{
			"{{name}} dev                                      everything in one process, in memory",
			"{{name}} dev --data ./data                        the same, and keep it",
			"{{name}} node --name a -s nats://n1:4222          a node of a cluster",
			"{{name}} aggregate history TYPE ID                what happened to one aggregate",
			"{{name}} view ls VIEW --json                      a read model, one document a line",
			"{{name}} event tail -f                            what happens",
		}, "\n"),
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return s.prepare(cmd) },
	}
	root.SetIn(s.In())
	root.SetOut(s.Out())
	root.SetErr(s.Err())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &Failure{Code: codeUsage, Exit: exitUsage, What: err.Error(), Fix: "see: " + cmd.CommandPath() + " --help", Err: err}
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
	finish(root, s.app.Name)
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
	flags.BoolVar(&f.json, "json", false, "print data as JSON, one object a line")
	flags.StringVar(&f.jq, "jq", "", "filter the JSON data with this jq `EXPR`ession")
	flags.BoolVar(&f.noColor, "no-color", false, "print without colours")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "log everything (--log-level debug)")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "log errors only, and draw no progress")
	flags.StringVar(&f.logLevel, "log-level", "info", "log from this `LEVEL` on: debug, info, warn, error")
}

// prepare completes the flags from the environment and checks them.
func (s *Session) prepare(cmd *cobra.Command) error {
	s.prepared = true
	if err := readEnv(cmd, s.streams.Env); err != nil {
		return err
	}
	level, err := s.level()
	if err != nil {
		return err
	}
	if s.flags.timeout <= 0 {
		return Usage("--timeout is %v; it must be more than 0", s.flags.timeout)
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readableAttr}
	if isTerminal(s.Err()) {
		s.logger = slog.New(slog.NewTextHandler(s.Err(), options))
	} else {
		s.logger = slog.New(slog.NewJSONHandler(s.Err(), options))
	}
	s.filter, err = compileFilter(s.flags.jq)
	return err
}

// readableDuration prints durations as people write them: 1.5s, where JSON would
// have nanoseconds.
func readableDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func (s *Session) level() (slog.Level, error) {
	var level slog.Level
	switch {
	case s.flags.verbose && s.flags.quiet:
		return 0, Usage("--verbose and --quiet exclude each other")
	case s.flags.verbose:
		return slog.LevelDebug, nil
	case s.flags.quiet:
		return slog.LevelError, nil
	}
	if err := level.UnmarshalText([]byte(s.flags.logLevel)); err != nil {
		return 0, Usage("--log-level %q: want debug, info, warn or error", s.flags.logLevel)
	}
	return level, nil
}

// group is the run function of a command that has subcommands: without one it
// shows the help, with an unknown one it says which was probably meant.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
			names = append(names, c.Aliases...)
		}
	}
	f := Usage("unknown command %q for %q", args[0], cmd.CommandPath())
	f.Fix = "see: " + cmd.CommandPath() + " --help"
	if near := nearest(args[0], names); near != "" {
		f.Fix = fmt.Sprintf("did you mean: %s %s", cmd.CommandPath(), near)
	}
	return f
}

// args makes a check of the number of arguments whose failure shows how the
// command is used.
func args(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if len(given) >= least && (most < 0 || len(given) <= most) {
			return nil
		}
		f := Usage("%s: wrong number of arguments: %d", cmd.CommandPath(), len(given))
		f.Why = "usage: " + cmd.UseLine()
		f.Fix = "see: " + cmd.CommandPath() + " --help"
		return f
	}
}

// helpTemplate shows examples first: they are what people look for.
const helpTemplate = `{{.Short}}
{{if .HasExample}}
Examples:
{{.Example}}
{{end}}{{with .Long}}
{{. | trimTrailingWhitespaces}}
{{end}}
Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}
{{if .HasAvailableSubCommands}}
Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{if .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableInheritedFlags}}
Flags of every command: see {{.Root.Name}} --help
{{end}}`

// finish gives all commands the same manner: help in one form, the binary's
// name in the examples.
func finish(cmd *cobra.Command, name string) {
	cmd.SetHelpTemplate(helpTemplate)
	cmd.DisableFlagsInUseLine = cmd.HasSubCommands()
	cmd.Long = withName(cmd.Long, name)
	if cmd.Example != "" {
		lines := strings.Split(withName(cmd.Example, name), "\n")
		for i, line := range lines {
			lines[i] = "  " + strings.TrimSpace(line)
		}
		cmd.Example = strings.Join(lines, "\n")
	}
	for _, c := range cmd.Commands() {
		if c.PersistentPreRun != nil || c.PersistentPreRunE != nil {
			panic("node: command " + c.CommandPath() + " has a persistent pre-run, which would replace that of the session")
		}
		finish(c, name)
	}
}

func withName(text, name string) string { return strings.ReplaceAll(text, "{{name}}", name) }
