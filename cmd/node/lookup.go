package node

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
)

func newErrors(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "errors",
		Short:   "Explain error codes",
		Example: `{{name}} errors lookup CONFLICT`,
		Args:    cobra.ArbitraryArgs,
		RunE:    console.Group,
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "lookup [CODE]",
		Short: "Explain one code, or all",
		Example: `{{name}} errors lookup
{{name}} errors lookup CONFLICT`,
		Args: console.Args(0, 1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return codes(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error { return s.lookup(args) },
	})
	return cmd
}

// explained is a kind of failure as it is printed.
type explained struct {
	Code    string `json:"err_code"`
	Exit    int    `json:"exit_code"`
	Meaning string `json:"meaning"`
	Advice  string `json:"advice"`
}

func (s *Session) lookup(args []string) error {
	g := s.Grid("CODE", "EXIT", "MEANING", "WHAT TO DO")
	count := 0
	for _, k := range kinds {
		if len(args) == 1 && !strings.EqualFold(args[0], string(k.code)) {
			continue
		}
		count++
		e := explained{Code: string(k.code), Exit: k.exit, Meaning: k.meaning, Advice: k.fix(s)}
		if s.JSON() {
			if err := s.Print(e); err != nil {
				return err
			}
			continue
		}
		if !console.IsTerminal(s.Out()) {
			if err := s.say(e); err != nil {
				return err
			}
			continue
		}
		g.Add(e.Code, e.Exit, s.Wrapped(e.Meaning), s.Wrapped(e.Advice))
	}
	switch {
	case count == 0:
		f := Usage("no error code %q", args[0])
		f.Code, f.Exit, f.Fix = gateway.CodeNotFound, console.ExitNotFound, "list them: "+s.app.Name+" errors lookup"
		if near := console.Nearest(strings.ToUpper(args[0]), codes()); near != "" {
			f.Fix = fmt.Sprintf("did you mean: %s", near)
		}
		return f
	case g.Empty(): // printed one by one
		return nil
	default:
		return g.Render("")
	}
}

// say prints a kind of failure as failures are told, a sentence a line: columns of sentences are too wide to read
// where nothing tells how wide a line may be.
func (s *Session) say(e explained) error {
	text := fmt.Sprintf("%s, exit code %d\n  what: %s\n", e.Code, e.Exit, e.Meaning)
	if e.Advice != "" {
		text += "  fix: " + e.Advice + "\n"
	}
	_, err := fmt.Fprint(s.Out(), text)
	return err
}

func codes() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, string(k.code))
	}
	return names
}
