package node_test

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/annals-go/annals/cmd/node"
)

// With a file to add the line to, only the token is printed; without it both are.
func TestTokenIsAdded(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	run := func(want int, args ...string) string {
		t.Helper()
		var out strings.Builder
		code := node.Run(t.Context(), bank, node.Streams{Out: &out, Err: io.Discard}, append([]string{"token", "new", "--role", "viewer"}, args...)...)
		if code != want {
			t.Errorf("%q: exit code %d, want %d", args, code, want)
		}
		return out.String()
	}
	token, line := regexp.MustCompile(`^annals_\S{43}\n$`), `sha256:[0-9a-f]{64} viewer `
	if out := run(0, "--principal", "ann", "--add", file); !token.MatchString(out) {
		t.Errorf("printed %q", out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("# no line break"); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	if out := run(0, "--principal", "Bob B.", "--add", file); !token.MatchString(out) {
		t.Errorf("printed %q", out)
	}
	text, err := os.ReadFile(file)
	if want := regexp.MustCompile(`^` + line + `ann\n# no line break\n` + line + `Bob B\.\n$`); err != nil || !want.Match(text) {
		t.Errorf("the file has %q, %v", text, err)
	}
	if out := run(1, "--principal", "ann", "--add", filepath.Join(file, "below")); out != "" {
		t.Errorf("a token that is nowhere was printed: %q", out)
	}
	if out := run(0, "--principal", "ann"); !regexp.MustCompile(`^annals_\S{43}\n` + line + `ann\n$`).MatchString(out) {
		t.Errorf("printed %q", out)
	}
}

// What is missing is named as it is given.
func TestTokenOfNobody(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--role viewer":                 `--principal "": want`,
		"--principal ann":               `--role "": want`,
		"--principal ann --role viewre": `--role "viewre": want`,
	} {
		var talk strings.Builder
		code := node.Run(t.Context(), bank, node.Streams{Out: io.Discard, Err: &talk}, append([]string{"token", "new"}, strings.Fields(args)...)...)
		if code != 2 || !strings.Contains(talk.String(), want) {
			t.Errorf("%s: exit code %d\n%s", args, code, talk.String())
		}
	}
}
