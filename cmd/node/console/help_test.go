package console

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// tree is a command line with two commands below it.
func tree() *cobra.Command {
	root := &cobra.Command{Use: "bank", Short: "a bank", Args: cobra.ArbitraryArgs, RunE: Group, SilenceErrors: true, SilenceUsage: true}
	run := func(*cobra.Command, []string) error { return nil }
	root.AddCommand(
		&cobra.Command{Use: "account ID", Short: "show one", Example: "{{name}} account 1\n  {{name}} account 2", Args: Args(1, 1), RunE: run},
		&cobra.Command{Use: "event", Aliases: []string{"ev"}, Short: "show all", Args: Args(1, -1), RunE: run},
	)
	return root
}

func TestMistypedCommandLines(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]Failure{
		"acount 1":    {What: `unknown command "acount" for "bank"`, Fix: "did you mean: bank account"},
		"frobnicate":  {What: `unknown command "frobnicate" for "bank"`, Fix: "see: bank --help"},
		"account":     {What: "bank account: wrong number of arguments: 0", Why: "usage: bank account ID [flags]", Fix: "see: bank account --help"},
		"account 1 2": {What: "bank account: wrong number of arguments: 2", Why: "usage: bank account ID [flags]", Fix: "see: bank account --help"},
		"event":       {What: "bank event: wrong number of arguments: 0", Why: "usage: bank event [flags]", Fix: "see: bank event --help"},
	} {
		root := tree()
		root.SetArgs(strings.Fields(line))
		f, is := errors.AsType[*Failure](root.Execute())
		want.Code, want.Exit = CodeUsage, ExitUsage
		if !is || *f != want {
			t.Errorf("%s: %+v, want %+v", line, f, want)
		}
	}
	root := tree()
	root.SetArgs(strings.Fields("event 1 2 3"))
	if err := root.Execute(); err != nil {
		t.Errorf("any number of arguments: %v", err)
	}
}

func TestHelpHasExamplesFirst(t *testing.T) {
	t.Parallel()
	root, out := tree(), new(strings.Builder)
	Finish(root, "bank")
	root.SetOut(out)
	root.SetArgs([]string{"account", "--help"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	if want := "show one\n\nExamples:\n  bank account 1\n  bank account 2\n\nUsage:\n"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("the help begins with %q, want %q", out, want)
	}
}

func TestPersistentPreRunIsRefused(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a command took the place of the root's pre-run")
		}
	}()
	root := tree()
	root.AddCommand(&cobra.Command{Use: "own", PersistentPreRun: func(*cobra.Command, []string) {}})
	Finish(root, "bank")
}
