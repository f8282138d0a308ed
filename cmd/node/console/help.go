package console

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Group is the run function of a command that has subcommands: without one it
// shows the help, with an unknown one it says which was probably meant.
func Group(cmd *cobra.Command, args []string) error {
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
	if near := Nearest(args[0], names); near != "" {
		f.Fix = fmt.Sprintf("did you mean: %s %s", cmd.CommandPath(), near)
	}
	return f
}

// Args makes a check of the number of arguments, at most any if most is negative,
// whose failure shows how the command is used.
func Args(least, most int) cobra.PositionalArgs {
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

// Finish gives a command and those below it the same manner: help in one form,
// the binary's name in place of {{name}}. It panics if one has a persistent pre-run,
// which would take the place of the root's.
func Finish(cmd *cobra.Command, name string) {
	cmd.SetHelpTemplate(helpTemplate)
	cmd.DisableFlagsInUseLine = cmd.HasSubCommands()
	cmd.Long = WithName(cmd.Long, name)
	if cmd.Example != "" {
		lines := strings.Split(WithName(cmd.Example, name), "\n")
		for i, line := range lines {
			lines[i] = "  " + strings.TrimSpace(line)
		}
		cmd.Example = strings.Join(lines, "\n")
	}
	for _, c := range cmd.Commands() {
		if c.PersistentPreRun != nil || c.PersistentPreRunE != nil {
			panic("console: command " + c.CommandPath() + " has a persistent pre-run, which would replace that of the root")
		}
		Finish(c, name)
	}
}

// WithName is a text with the binary's name in place of {{name}}.
func WithName(text, name string) string { return strings.ReplaceAll(text, "{{name}}", name) }
