package console

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commandOf is a command with the flags of the console, and two more.
func commandOf(c *Console) *cobra.Command {
	cmd := &cobra.Command{Use: "bank"}
	AddFlags(c, cmd.Flags())
	cmd.Flags().String("tls-key", "", "a key")
	cmd.Flags().String("id", "", "an id")
	PerCall(cmd, "id")
	return cmd
}

func TestVariablesStandForFlags(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"none":                  {want: ""},
		"its own":               {env: map[string]string{"BANK_TLS_KEY": "own", "OTHER_KEY": "other"}, want: "own"},
		"another's":             {env: map[string]string{"OTHER_KEY": "other"}, want: "other"},
		"the command line wins": {env: map[string]string{"BANK_TLS_KEY": "own"}, args: []string{"--tls-key", "given"}, want: "given"},
		"flags of one call":     {env: map[string]string{"BANK_ID": "7"}, want: ""},
	} {
		c, _, _ := testConsole(test.env)
		cmd := commandOf(c)
		if err := cmd.ParseFlags(test.args); err != nil {
			t.Fatal(err)
		}
		if err := ReadEnv(c, cmd, "BANK_", map[string]string{"tls-key": "OTHER_KEY"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := cmd.Flags().Lookup("tls-key").Value.String(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if got := cmd.Flags().Lookup("id").Value.String(); got != "" {
			t.Errorf("%s: a variable set the flag of one call to %q", name, got)
		}
	}
	c, _, _ := testConsole(map[string]string{"BANK_JSON": "perhaps"})
	if err := ReadEnv(c, commandOf(c), "BANK_", nil); err == nil || !strings.Contains(err.Error(), `environment variable BANK_JSON is "perhaps"`) {
		t.Errorf("a value that the flag does not take: %v", err)
	}
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                 "iwe",
		"-v":               "diwe",
		"-q":               "e",
		"--log-level warn": "we",
		"-v -q":            "--verbose and --quiet exclude each other",
		"--log-level loud": `--log-level "loud": want debug, info, warn or error`,
		"--jq .[":          `--jq ".[" is not a jq expression: unexpected EOF`,
		"--jq $a":          `--jq "$a" cannot be used: variable not defined: $a`,
	} {
		c, _, talk := testConsole(nil)
		cmd := commandOf(c)
		if err := cmd.ParseFlags(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		if err := Prepare(c, nil); err != nil {
			if err.Error() != want {
				t.Errorf("%s: %v, want %s", args, err, want)
			}
			continue
		}
		c.Logger().Debug("d")
		c.Logger().Info("i")
		c.Logger().Warn("w")
		c.Logger().Error("e")
		var got []byte
		for line := range strings.Lines(talk.String()) {
			_, text, _ := strings.Cut(line, `"msg":"`)
			got = append(got, text[0])
		}
		if string(got) != want {
			t.Errorf("%s: logged %q, want %q", args, got, want)
		}
	}
}
