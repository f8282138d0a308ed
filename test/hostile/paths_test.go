package main

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// paths are what a node serves over HTTP, by how the source registers them: what asks
// nobody who they are has a reason here. /v1/ asks by itself: its own tests list all of
// its routes.
var paths = map[string]struct {
	path   string
	asks   bool
	reason string
}{
	"GET /livez":   {"/livez", false, "an orchestrator looks without a token; it says that the process lives"},
	"GET /readyz":  {"/readyz?verbose", false, "likewise; why it is not ready is told to who may see it"},
	"GET /metrics": {"/metrics", true, ""},
	"/v1/":         {"/v1/info", true, ""},
}

// registered are the patterns of the paths in the source of the node and its parts.
func registered(t *testing.T) (patterns []string) {
	t.Helper()
	call := regexp.MustCompile(`\.Handle(?:Func)?\("([^"]+)"`)
	err := filepath.WalkDir("../../cmd/node", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		for _, found := range call.FindAllStringSubmatch(string(text), -1) {
			patterns = append(patterns, found[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return patterns
}

// Every path of a node asks who comes, or is on the list of those that need not, and says
// little then. No method gets around that, and no page of another origin is let in.
func TestEveryPathAsksWhoComes(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "tokens")
	line := newText()
	if code := call(t.Context(), nil, line, newText(), "token", "new", "--role", "viewer", "--principal", "vera"); code != 0 {
		t.Fatal(line)
	}
	hash := regexp.MustCompile(`sha256:[0-9a-f]{64} viewer vera`).FindString(line.String())
	if err := os.WriteFile(token, []byte(hash+"\n"), 0o600); err != nil || hash == "" {
		t.Fatal(line, err)
	}
	at, _ := startNode(t, "dev", "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0", "--http-tokens", token)
	patterns := registered(t)
	if len(patterns) != len(paths) {
		t.Errorf("%q are registered, %d are listed", patterns, len(paths))
	}
	for _, pattern := range patterns {
		c, listed := paths[pattern]
		if !listed {
			t.Errorf("%s: does that ask who comes? It is in no list here", pattern)
			continue
		}
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE", "get"} {
			r, err := http.NewRequestWithContext(t.Context(), method, at.HTTP+c.path, strings.NewReader(""))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Origin", "https://evil.example")
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			for name := range answer.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s %s: %s lets other origins in", method, c.path, name)
				}
			}
			if good := answer.StatusCode < 300; good && c.asks || len(body) > 300 {
				t.Errorf("%s %s without a token: %d %.400s", method, c.path, answer.StatusCode, body)
			}
		}
	}
}
