package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestForget is the life of an applicant's name: it is shown until the customer is forgotten,
// and then it is nowhere, in no file and no answer.
func TestForget(t *testing.T) {
	t.Parallel()
	const marker = "Ada Marker-4711"
	dir := t.TempDir()
	b := startLoans(t, "--nats", "127.0.0.1:0", "--data", dir)
	kek := "file:" + filepath.Join(dir, "kek")
	ask := func(want bool, args ...string) string {
		t.Helper()
		code, out, talk := b.run(t, args...)
		if code != 0 || strings.Contains(out, marker) != want {
			t.Errorf("loans %s: exit code %d, %q, said %q; the name in it: want %v", strings.Join(args, " "), code, out, talk, want)
		}
		return out
	}
	ask(false, "command", "send", "application", "42", "submit",
		`{"amount":15000,"customer":"c-7","applicant":{"name":"`+marker+`","email":"ada@example.org"}}`, "--wait-for", "applications")
	ask(true, "aggregate", "get", "application", "42")
	ask(true, "view", "get", "applications", "42")
	ask(false, "event", "tail")
	if out := ask(true, "subject", "export", "c-7", "--kek", kek); strings.Count(out, "\n") != 2 {
		t.Errorf("exported %q, want an event and a document", out)
	}

	ask(false, "subject", "forget", "c-7", "--why", "asked for it", "--yes")

	if out := ask(false, "aggregate", "get", "application", "42", "--jq", ".state"); out != `{"amount":15000,"status":"submitted"}`+"\n" {
		t.Errorf("the state is %q", out)
	}
	if out := ask(false, "aggregate", "history", "application", "42"); !strings.Contains(out, `"annals:shredded":["applicant"]`) {
		t.Errorf("the history is %q", out)
	}
	ask(false, "view", "get", "applications", "42")
	if out := ask(false, "subject", "export", "c-7", "--kek", kek); out != "" {
		t.Errorf("exported %q", out)
	}
	ask(false, "command", "send", "application", "42", "partly-submit", `{}`)
	ask(false, "schema", "check")
	b.stop()
	if found := filesWith(t, dir, []byte(marker)); found != nil {
		t.Errorf("files that hold the name: %v", found)
	}
}

func filesWith(t *testing.T, dir string, marker []byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, marker) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
